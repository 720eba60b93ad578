"""A study has a place of its own: in the catalog, in Optuna's database and in MLflow; environments may be joined."""

from __future__ import annotations

import re
from pathlib import Path

import kedro_mlflow
import mlflow
import pytest
import yaml
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, MemoryDataset

from kedro_project import REPOSITORY, make_project
from kpnn.errors import SettingsError
from kpnn.files import sha256_of

configure_project("kpnn")
from kpnn.pipeline_registry import register_pipelines  # noqa: E402 - Kedro's settings come first
from kpnn.settings import CONFIG_LOADER_ARGS  # noqa: E402
from kpnn.studies import StudyConfigLoader  # noqa: E402

CONF = REPOSITORY / "conf"
FEW = {
    "simulate": {"n_cells": 120},
    "modelling": {"tuning": {"n_trials": 1}, "fit": {"max_epochs": 3}},
    "cross_validation": {"n_splits": 2},
    "interpretation": {"control_inputs": 0, "permuted_labels": 0, "seeds": 0, "alternative_dags": 0},
    "controls": {"rewired": 1, "permuted_genes": 0},
}


def loader(env: str | None, conf: Path = CONF) -> StudyConfigLoader:
    found = StudyConfigLoader(str(conf), env, **CONFIG_LOADER_ARGS)
    found.config_patterns["mlflow"] = ["mlflow*"]
    return found


def make_environment(project, name: str, **files: dict) -> None:
    folder = project.root / "conf" / name
    folder.mkdir()
    for file, content in files.items():
        (folder / f"{file}.yml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("env", "study"),
    [
        (None, "demo"),
        ("base", "demo"),
        ("local", "demo"),
        ("cluster", "demo"),
        ("tcr", "tcr"),
        ("tcr,cluster", "tcr"),
        ("pbmc68k", "pbmc68k"),
    ],
)
def test_the_study_is_the_first_environment(env, study, project):
    config = loader(env, project.root / "conf")
    assert config["globals"] == {"study": study}
    assert config["parameters"]["modelling"]["tuning"]["storage"] == f"sqlite:///data/06_models/{study}/optuna.db"
    assert config["parameters"]["download"]["folder"] == f"data/01_raw/{study}"
    assert config["mlflow"]["tracking"]["experiment"]["name"] == f"kpnn-{study}"
    assert config["mlflow"]["tracking"]["run"]["name"] == study


def test_a_users_environment_names_its_study_unless_its_globals_do(project):
    make_environment(project, "mine", parameters={"reporting": {"top": 3}})
    make_environment(project, "other", globals={"study": "renamed"})
    conf = project.root / "conf"
    assert loader("mine", conf)["globals"]["study"] == "mine"
    assert loader("mine", conf)["catalog"]["pkn"]["filepath"] == "data/03_primary/mine/pkn.parquet"
    assert loader("other", conf)["globals"]["study"] == "renamed"
    assert loader("mine,other", conf)["globals"]["study"] == "mine"


def test_joined_environments_are_laid_over_each_other_in_their_order(project):
    make_environment(
        project, "mine", parameters={"modelling": {"seed": 1, "top_genes": 7}}, catalog={"x": {"type": "a"}}
    )
    make_environment(project, "more", parameters={"modelling": {"seed": 2}}, catalog={"y": {"type": "b"}})
    conf = project.root / "conf"
    joined = loader("mine, more,cluster", conf)
    assert [joined["parameters"]["modelling"][name] for name in ("seed", "top_genes")] == [2, 7]
    assert joined["parameters"]["modelling"]["execution"]["executor"] == "dask"
    assert {"x", "y", "pkn"} <= set(joined["catalog"])
    assert loader("more,mine", conf)["parameters"]["modelling"]["seed"] == 1
    told = StudyConfigLoader(
        str(conf), "mine,more", runtime_params={"modelling": {"seed": 3}}, **CONFIG_LOADER_ARGS
    )  # what the command line says stands above all
    assert told["parameters"]["modelling"]["seed"] == 3


def test_files_that_say_the_same_twice_or_are_no_yaml_are_one_message(project):
    make_environment(project, "mine", parameters={"controls": {"seed": 1}}, parameters_b={"controls": {"seed": 2}})
    with pytest.raises(SettingsError, match=r"Duplicate keys found in .*parameters.*controls.seed"):
        loader("mine", project.root / "conf")["parameters"]
    (project.root / "conf" / "mine" / "parameters_b.yml").write_text("controls: {seed: 1")
    with pytest.raises(SettingsError, match=r"Invalid YAML or JSON file .*parameters_b.yml"):
        loader("mine", project.root / "conf")["parameters"]
    (project.root / "conf" / "mine" / "parameters_b.yml").write_text("controls:\n  seed: 1\n  seed: 2\n")
    with pytest.raises(SettingsError, match=r"parameters_b\.yml, line 3: found duplicate key seed"):
        loader("mine", project.root / "conf")["parameters"]
    (project.root / "conf" / "mine" / "parameters_b.yml").write_text("modelling: {fit: [1, 2]}\n")
    with pytest.raises(SettingsError, match=r"mine: modelling\.fit is a group, which says `NAME: value`, and no list"):
        loader("mine", project.root / "conf")["parameters"]


def test_a_variable_of_the_environment_that_is_not_set_is_named_with_its_place(project):
    make_environment(project, "mine", parameters={"modelling": {"seed": "${oc.env:NO_SUCH_SEED}"}})
    with pytest.raises(SettingsError, match=r"conf: modelling\.seed: Environment variable 'NO_SUCH_SEED' not found$"):
        loader("mine", project.root / "conf")["parameters"]


@pytest.mark.parametrize("study", ["../../x", "a/b", "", "..", 3])
def test_a_study_whose_name_is_no_folder_of_its_own_is_refused(project, study):
    make_environment(project, "mine", globals={"study": study})
    with pytest.raises(SettingsError, match=r"mine/globals\.yml: study is the name of a folder, found"):
        loader("mine", project.root / "conf")


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("tcrr", r"no environment `tcrr`: conf/tcrr is not a folder; did you mean tcr\?"),
        ("tcr,clust", r"no environment `clust`: .* did you mean cluster\?"),
        ("tcr,", r"no environment ``"),
        ("everything", r"there are base, cluster, local, pbmc68k, sim1, sim2, tcr, tutorial"),
    ],
)
def test_an_unknown_environment_is_named_with_one_that_is_near(env, message, project):
    with pytest.raises(SettingsError, match=message):
        loader(env, project.root / "conf")


@pytest.mark.parametrize("env", [None, "tcr", "sim1", "sim2", "pbmc68k"])
def test_every_path_of_the_catalog_carries_the_study(env, project):
    config = loader(env, project.root / "conf")
    study = config["globals"]["study"]
    paths = {name: entry["filepath"] for name, entry in config["catalog"].items() if entry.get("filepath")}
    assert len(paths) > 40
    for name, path in paths.items():
        assert re.match(rf"data/0[1-8]_\w+/{study}/.", path), name


def test_the_catalog_holds_what_pipelines_hand_on_and_nothing_else():
    pipelines = register_pipelines()
    used = {name for pipeline in pipelines.values() for name in pipeline.datasets()} - {"parameters"}
    used = {name for name in used if not name.startswith("params:")}
    catalog = DataCatalog.from_config(loader(None)["catalog"])
    patterns = [pattern for pattern in catalog.config_resolver.list_patterns() if pattern in loader(None)["catalog"]]
    assert len(patterns) > 10
    assert set(catalog.keys()) <= used
    for pattern in patterns:
        assert any(catalog.config_resolver.match_dataset_pattern(name) == pattern for name in used), pattern
    # Every pipeline runs alone, from what is on disk.
    for name, pipeline in pipelines.items():
        for dataset in pipeline.inputs() & used:
            found = catalog.get(dataset)
            assert found is not None and not isinstance(found, MemoryDataset), f"{name} reads {dataset}"
            assert found.metadata["kedro-viz"]["layer"], dataset


def files_of(root: Path, study: str) -> dict[str, str | None]:
    return {
        path.relative_to(root).as_posix(): f"{sha256_of(path)} {path.stat().st_mtime_ns}"
        for path in (root / "data").rglob("*")
        if path.is_file() and study in path.relative_to(root).parts
    }


def runs_of(project, study: str):
    mlflow.set_tracking_uri(project.tracking_uri)
    found = mlflow.search_runs(experiment_names=[f"kpnn-{study}"]).sort_values("run_id").reset_index(drop=True)
    mlflow.set_tracking_uri(None)  # it is an environment variable too, which later tests' runs would inherit
    return found


@pytest.mark.slow
def test_two_studies_run_in_turn_leave_each_others_results_untouched(tmp_path):
    project = make_project(tmp_path / "project")
    make_environment(project, "one", parameters=FEW)
    make_environment(project, "two", parameters={**FEW, "modelling": {**FEW["modelling"], "seed": 7}})
    for study in ("one", "two"):
        project.kedro("run", "--env", study, "--pipeline", "simulate")
    project.kedro("run", "--env", "one")
    first, runs = files_of(project.root, "one"), runs_of(project, "one")
    assert {"data/08_reporting/one/report.html", "data/06_models/one/optuna.db"} <= set(first)
    assert {f"data/06_models/one/{arm}/models.json" for arm in ("full", "pruned")} <= set(first)
    assert len(runs) == 9  # the study, two arms, two folds each, two controls
    project.kedro("run", "--env", "two")
    assert files_of(project.root, "one") == first
    assert runs_of(project, "one").equals(runs)
    assert len(runs_of(project, "two")) == 9
    second = files_of(project.root, "two")
    assert {name.replace("/two/", "/one/") for name in second} == set(first)
    # Nothing lies outside of a study's place.
    assert {p.name for p in (project.root / "data").glob("*/*")} == {"one", "two"}


def test_what_kedro_mlflow_init_writes_says_nothing_until_somebody_changes_it(project):
    conf = project.root / "conf"
    before = loader(None, conf)["mlflow"]
    template = Path(kedro_mlflow.__file__).parent / "template" / "project" / "mlflow.yml"
    written = template.read_text().replace("{{ python_package }}", "kpnn")
    (conf / "local" / "mlflow.yml").write_text(written)
    assert loader(None, conf)["mlflow"] == before
    (conf / "local" / "mlflow.yml").write_text(written.replace('port: "5000"', 'port: "5001"'))
    after = loader(None, conf)["mlflow"]
    assert after["ui"]["port"] == "5001"
    assert {**after, "ui": before["ui"]} == before
