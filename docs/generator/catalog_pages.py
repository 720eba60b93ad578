"""The reference of files: every entry of the catalog, from `conf/base/catalog.yml` and the comments in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from plain_text import escaped

_SECTION = re.compile(r"^# --- (?P<title>.+?)(?: -{2,})?$")
_ENTRY = re.compile(r'^"?(?P<name>[A-Za-z{][\w{}.]*)"?:(?:\s*#\s*(?P<comment>.*))?\s*$')
_COMMENT = re.compile(r"^#\s*(?P<comment>.*)$")

BESIDE_THE_CATALOG = {
    "data/06_models/<study>/{arm}/repeat_<r>_fold_<k>/model.keras": "the fold's networks, one ensemble",
    "data/06_models/<study>/{arm}/repeat_<r>_fold_<k>/predictions.parquet": "of the cells held out: probabilities",
    "data/06_models/<study>/{arm}/repeat_<r>_fold_<k>/member_predictions.parquet": "the same by each network",
    "data/06_models/<study>/{arm}/repeat_<r>_fold_<k>/history.parquet": "losses by network and epoch",
    "data/06_models/<study>/{arm}/repeat_<r>_fold_<k>/trials.parquet": "configurations that were tried",
    "data/06_models/<study>/{arm}/repeat_<r>_fold_<k>/result.json": "hyperparameters, scores, seconds, fingerprint",
    "data/06_models/<study>/{arm}/repeat_<r>_fold_<k>/manifest.json": "size and SHA-256 of the others",
    "data/06_models/<study>/controls/<control>/repeat_<r>_fold_<k>/<file>": "as of an arm, without the networks",
    "data/07_model_output/<study>/controls/member_predictions.parquet": "as of an arm, with the control's name",
    "data/06_models/<study>/optuna.db": "trials of all folds, where `tuning.storage` names no other database",
    "data/08_reporting/<study>/report_files/<folder>/<file>": "`figures` and `tables` of the report",
    "data/.studies/<study>/results.json": "what made each result: SHA-256 of its files, settings, version",
    "data/.studies/<study>/<process>.run": "who writes to the study at present",
    "data/01_raw/<study>/download.lock.json": "SHA-256 of downloaded files (`priors.lock.json` of fetched knowledge)",
    "data/01_raw/<study>/priors.licences.txt": "where fetched knowledge is from, what its makers allow, what to cite",
    "mlruns/mlflow.db": "MLflow's runs, where no server is named",
    "mlruns/artifacts/<run>/artifacts/<file>": "what MLflow keeps of each run",
    "mlruns/artifacts/models/<model>/artifacts/<file>": "models as MLflow serves them",
}
"""What else a run writes: file, with `<...>` for what differs from one to the next, and what it is."""


@dataclass(frozen=True)
class Entry:
    """One entry of the catalog.

    Attributes:
        name: as pipelines use it; `{arm}` stands for `full`, `pruned`.
        section: the comment above its group of entries, which begins with the pipeline that writes them.
        meaning: the comment beside it.
        type: class of the data set, without its package.
        filepath: where it lies, with `<study>` for the study's name; empty: in memory, or not used by default.
        layer: of kedro-viz.
    """

    name: str
    section: str
    meaning: str
    type: str
    filepath: str
    layer: str


def catalog_page(catalog: Path) -> str:
    """The page, as Markdown.

    Args:
        catalog: the file `conf/base/catalog.yml`.
    """
    lines = [
        "# Files and the catalog",
        "",
        "Every entry of `conf/base/catalog.yml`: what you bring, and every file that a run writes; what it keeps "
        "beside them stands [last](#beside-the-catalog). `{arm}` is `full` or `pruned`; `<study>` is the study's "
        "name, so that two studies never share a file. An environment states the "
        'entries that differ (`conf/<study>/catalog.yml`). In `kedro jupyter`, `catalog.load("pkn")` reads one.',
        "",
    ]
    section = ""
    for entry in catalog_entries(catalog):
        if entry.section != section:
            section = entry.section
            title, _, rest = section.partition(": ")
            lines += [f"## {title}", "", *([rest[0].upper() + rest[1:] + ".", ""] if rest else [])]
            lines += ["| entry | what it is | file | type | layer |", "|---|---|---|---|---|"]
        cells = (
            f"`{entry.name}`",
            escaped(entry.meaning),
            f"`{entry.filepath}`" if entry.filepath else "",
            f"`{entry.type}`",
            entry.layer,
        )
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["## Beside the catalog", "", "| file | what it is |", "|---|---|"]
    lines += [f"| `{file}` | {meaning} |" for file, meaning in BESIDE_THE_CATALOG.items()]
    return "\n".join(_with_gaps(lines)) + "\n"


def names_file(catalog: Path, file: str) -> bool:
    """Whether the page names a file.

    Args:
        catalog: the file `conf/base/catalog.yml`.
        file: its path in the project.
    """
    named = {*BESIDE_THE_CATALOG, *(entry.filepath for entry in catalog_entries(catalog) if entry.filepath)}
    return any(re.fullmatch(_pattern(one), file) for one in named)


def _pattern(path: str) -> str:
    """A regular expression of the files that a path of the page stands for."""
    parts = re.split(r"(<file>|<\w+>|\{arm\})", path)
    stand_for = {"<file>": ".+", "{arm}": "(full|pruned)"}
    return "".join(
        stand_for.get(part, "[^/]+") if position % 2 else re.escape(part) for position, part in enumerate(parts)
    )


def catalog_entries(catalog: Path) -> list[Entry]:
    """All entries in the order of the file.

    Args:
        catalog: the file `conf/base/catalog.yml`.
    """
    text = catalog.read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    section, current = "", ""
    meanings: dict[str, str] = {}
    sections: dict[str, str] = {}
    for line in text.splitlines():
        if found := _SECTION.match(line):
            section, current = found["title"], ""
        elif found := _ENTRY.match(line):
            current = found["name"]
            meanings[current], sections[current] = found["comment"] or "", section
        elif (found := _COMMENT.match(line)) and current and not values.get(current):
            meanings[current] += f" {found['comment']}"
    return [
        Entry(
            name=name,
            section=sections[name],
            meaning=meanings[name],
            type=str(value["type"]).rsplit(".", 1)[-1],
            filepath=str(value.get("filepath") or "").replace("${globals:study}", "<study>"),
            layer=value.get("metadata", {}).get("kedro-viz", {}).get("layer", ""),
        )
        for name, value in values.items()
        if not name.startswith("_")
    ]


def _with_gaps(lines: list[str]) -> list[str]:
    """A blank line before every heading, which Markdown needs after a table."""
    return [part for line in lines for part in (["", line] if line.startswith("## ") else [line])]
