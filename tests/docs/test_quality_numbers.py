"""Scores that README and pages state are those of the file that the benchmark writes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from quality_numbers import COLUMNS, KEPT, PAGES, kept_rows, merged, take, written_anew


@pytest.mark.parametrize("page", [str(page) for page in PAGES])
def test_pages_state_what_the_benchmark_kept(root: Path, page: str) -> None:
    text = (root / page).read_text(encoding="utf-8")
    assert "<!-- quality: " in text
    assert written_anew(text, kept_rows(root)) == text


def test_the_benchmarks_demo_and_the_one_that_readme_shows_agree(root: Path) -> None:
    demo = kept_rows(root).set_index("study").loc["demo"]
    shown = json.loads((root / "docs" / "assets" / "demo_run.json").read_text(encoding="utf-8"))
    assert demo["verdict"] == shown["verdict"]
    for one in shown["scores"]:
        if one["metric"] == "roc_auc":
            assert demo[one["arm"]] == pytest.approx(one["mean"], abs=0.005)


def test_a_study_that_is_measured_anew_replaces_its_row_and_its_numbers(root: Path, tmp_path: Path) -> None:
    for path in (KEPT, *PAGES):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, tmp_path / path)
    row = {"full": 0.91234, "pruned": 0.8, "lower": -0.2, "upper": -0.1, "verdict": "worse", "seconds": 100}
    seeds = pd.DataFrame([{"study": "kang", "seed": seed} | row | {"pruned": 0.8 + seed - 42} for seed in (43, 42)])
    take(seeds, tmp_path)
    kept = kept_rows(tmp_path)
    assert list(kept.columns) == list(COLUMNS)
    assert sorted(kept["study"]) == sorted(kept_rows(root)["study"])
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert re.search(r"0\.912 / 0\.800", readme) and "0.998 / 0.999" not in readme
    benchmarks = (tmp_path / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert "| 0.912 | 0.800 |  |  |  | worse: -0.200 to -0.100 |" in benchmarks


def test_a_study_that_is_new_stands_below_the_others(root: Path) -> None:
    kept = kept_rows(root)
    new = pd.DataFrame([{"study": "of_her_own", "seed": 42, "full": 0.9, "pruned": 0.9}])
    assert list(merged(kept, new)["study"]) == [*kept["study"], "of_her_own"]
