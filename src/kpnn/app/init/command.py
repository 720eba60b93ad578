"""The command `kpnn init`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kpnn.app.check.command import say_check
from kpnn.app.messages import as_messages, collected_warnings
from kpnn.errors import KpnnError, SettingsError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_NO_STUDY = ("base", "local")

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, resolve_path=True)


def _options(command: _Command) -> _Command:
    for option in reversed(
        (
            click.argument("study"),
            click.option("--cells", type=_FILE, required=True, help="Expression: 10x, .h5ad, .zarr, CSV."),
            click.option("--classes-file", type=_FILE, help="Labels in a table; else they are in the cells' obs."),
            click.option("--label", help="The column that names each cell's class."),
            click.option("--classes", default="", metavar="A,B", help="Values of the label that count; else all."),
            click.option("--positive", help="The value of the label that is 1 where all others are 0."),
            click.option("--group", help="The column of donors or samples, whose cells stay together."),
            click.option("--network", type=_FILE, help="Edges from the class down to genes, parent,child."),
            click.option("--signalling", type=_FILE, help="In place of --network: who acts on whom, such as OmniPath."),
            click.option("--regulon", type=_FILE, help="Which regulator binds which gene, such as CollecTRI."),
            click.option(
                "--receptors",
                multiple=True,
                metavar="A,B",
                help="Signalling's proteins below the class; or CLASS=A,B; or a file of them, one a line.",
            ),
            click.option("--gene-sets", type=_FILE, help="In place of --network: sets of genes, .gmt."),
            click.option(
                "--prior",
                multiple=True,
                type=click.Choice(["omnipath", "collectri", "hallmark", "reactome"]),
                help="In place of a file: fetch signalling, a regulon or sets of genes.",
            ),
            click.option("--values", help="Which matrix: X, raw or a layer; else the best there is."),
            click.option("--genome", help="Which genome, of a 10x file with several."),
            click.option("--force", is_flag=True, help="Overwrite the study's configuration."),
            click.option("--interactive", is_flag=True, help="Ask for what is not said."),
        )
    ):
        command = option(command)
    return command


@click.command("init", short_help="Write the configuration of a study of your own, and check it.")
@_options
def init(study: str, **options: Any) -> None:
    """Look into your files and write conf/STUDY/, every choice explained.

    Where there is no project yet, one is laid down in this folder. Then all checks are made (as `kpnn check STUDY`).
    """
    with as_messages(checking=True):
        _init(study, options)


def _init(study: str, options: dict[str, Any]) -> None:
    from kpnn.app.check.summary import wrapped
    from kpnn.app.init.study import configuration, plan_study
    from kpnn.app.project import lay_down_project, project_around, template_conf

    project = project_around(Path.cwd())
    root = project or Path.cwd()
    folder = root / "conf" / study
    _refuse_name(study, folder, force=options["force"])
    asked = _asked(options)
    if options["prior"]:
        _fetch_priors(options, root / "data" / "01_raw" / study, root / "conf" if project else template_conf())
    files = _files(options)
    with collected_warnings():  # the check warns of the same
        plan = plan_study(study, files, asked)
    if project is None:
        laid = lay_down_project(root)
        click.echo("\n".join(wrapped(f"{root}: {', '.join(laid)}, data, mlruns", "a new project in ")))
    folder.mkdir(exist_ok=True)
    (root / "data" / "01_raw" / study).mkdir(parents=True, exist_ok=True)  # new cells are put there
    written = configuration(plan, root)
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    click.echo("\n".join(line for note in plan.found for line in wrapped(note, "- ")))
    click.echo("\n".join(["", *wrapped(f"conf/{study}/: {', '.join(written)}", "written in "), ""]))
    os.chdir(root)
    try:
        say_check(study)
    except KpnnError:
        told = f"conf/{study}/ is written: mend it and run `kpnn check {study}`, or run this again with --force"
        click.echo("\n".join(wrapped(told, "")))
        raise


def _fetch_priors(options: dict[str, Any], folder: Path, conf: Path) -> None:
    """Puts files that are fetched in the place of those that were not named."""
    from kpnn.app.init.priors import PRIORS, fetch, places

    twice = [name for name in options["prior"] if options[PRIORS[name][0]] is not None]
    if twice:
        option = PRIORS[twice[0]][0].replace("_", "-")
        raise SettingsError(f"--prior {twice[0]} stands in the place of --{option}: leave out one of them")
    chosen = places(options["prior"], folder)
    _network_files({**options, **chosen}).named()  # says what is missing or too much before anything is fetched
    click.echo(f"Fetching {', '.join(options['prior'])} to {folder}", err=True)
    fetch(chosen, folder, conf)
    options |= chosen


def _refuse_name(study: str, folder: Path, *, force: bool) -> None:
    if not _NAME.fullmatch(study) or study in _NO_STUDY:
        raise SettingsError(
            f"{study[:100]}: a study is named by at most 100 letters, digits, - and _, and is neither base nor local"
        )
    if folder.exists() and any(folder.iterdir()) and not force:
        raise SettingsError(f"{folder} exists already: choose another name, or overwrite it with --force")


def _network_files(options: dict[str, Any]) -> Any:
    from kpnn.app.init.knowledge import NetworkFiles

    return NetworkFiles(
        options["network"],
        options["signalling"],
        options["regulon"],
        _receptors(options["receptors"]),
        options["gene_sets"],
    )


def _files(options: dict[str, Any]) -> Any:
    from kpnn.app.init.study import Files

    how = {name: options[name] for name in ("values", "genome") if options[name] is not None}
    cells: Path = options["cells"]
    if cells.name.lower().removesuffix(".gz").endswith(".mtx") and cells.is_file():
        cells = cells.parent  # where names of cells and genes are too
    return Files(cells, _network_files(options), options["classes_file"], how)


def _receptors(texts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Class -> proteins; under the empty name those of every class."""
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        output, _, names = text.rpartition("=")
        listed = _lines_of(Path(names.strip())) if _is_file(names.strip()) else _listed(names)
        found[output.strip()] = tuple(dict.fromkeys((*found.get(output.strip(), ()), *listed)))
    return found


def _is_file(text: str) -> bool:
    """Whether a file is meant and no protein."""
    return bool(text) and (Path(text).is_file() or text.lower().endswith((".txt", ".csv", ".tsv")))


def _lines_of(path: Path) -> tuple[str, ...]:
    """The names in a file: one a line, or with commas or tabs between them; what begins with # is no name."""
    from kpnn.text_tables import read_text

    lines = (line for line in read_text(path, SettingsError).splitlines() if not line.startswith("#"))
    return tuple(name for line in lines for name in _listed(line.replace("\t", ",")))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _asked(options: dict[str, Any]) -> Any:
    from kpnn.app.init.labelling import Asked

    if options["interactive"]:
        for name, question in (
            ("label", "Column of the class (empty: 0/1 columns of the table)"),
            ("classes", "Values of it that count, A,B (empty: all)"),
            ("positive", "Value that is 1 where all others are 0 (empty: none)"),
            ("group", "Column of the donor or sample (empty: none)"),
        ):
            if not options[name]:
                options[name] = click.prompt(question, default="", show_default=False).strip() or None
    return Asked(options["label"], options["classes"] or "", options["positive"], options["group"])
