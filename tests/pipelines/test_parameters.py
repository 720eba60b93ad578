"""All parameters become typed settings at once; whatever is wrong with them is said in one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.config import OmegaConfigLoader

from kpnn.errors import SettingsError, near_names
from kpnn.pipelines.parameters import ALLOW_STALE, GROUPS, all_settings
from kpnn.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir() and path.name != "local")


def parameters_of(environment: str = "base") -> dict[str, Any]:
    return OmegaConfigLoader(str(ROOT / "conf"), env=environment, **CONFIG_LOADER_ARGS)["parameters"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment_of_the_project_has_sensible_parameters(environment: str) -> None:
    assert set(all_settings(parameters_of(environment))) == set(GROUPS)


def test_the_base_states_every_group_and_every_first_parameter_of_it() -> None:
    written = parameters_of()
    assert set(written) == {*GROUPS, ALLOW_STALE}
    for name, model in GROUPS.items():
        assert set(written[name]) == set(model.model_fields), name


def test_settings_are_typed_and_groups_that_are_not_stated_are_at_their_defaults() -> None:
    settings = all_settings({"reporting": {"margin": 0.02}, "controls": None})
    assert settings["reporting"].margin == 0.02
    assert settings["controls"] == GROUPS["controls"]()
    assert all(isinstance(settings[name], model) for name, model in GROUPS.items())


def test_training_knows_how_input_nodes_are_named() -> None:
    settings = all_settings({"data_engineering": {"input_suffix": "_g"}})
    assert settings["modelling"].network.gene_suffix == "_g"


def test_all_that_is_wrong_is_named_in_one_message_whichever_pipeline_it_belongs_to() -> None:
    wrong = {
        "reporting": {"margin": -1},
        "dag_selection": {"solver": "CPLEX", "alternatives": {"mosst": 3}},
        "controls": {"rewired": -1},
        "interpretation": {"sedes": 3},
        "modelling": {"tuning": {"search_space": {"dropuot": {"type": "float", "low": 0, "high": 1}}}},
        "predict": "pruned",
        "reportng": {},
    }
    with pytest.raises(SettingsError) as caught:
        all_settings(wrong)
    lines = [line.strip() for line in str(caught.value).splitlines()[1:]]
    for start in (
        "reportng: no such group; did you mean reporting?",
        "reporting.margin: Input should be greater than 0 (found -1)",
        "dag_selection.solver: must be one of HIGHS, SCIP, GUROBI (found 'CPLEX')",
        "dag_selection.alternatives.mosst: no such parameter; did you mean most?",
        "controls.rewired: Input should be greater than or equal to 0 (found -1)",
        "interpretation.sedes: no such parameter; did you mean seeds?",
        "modelling.tuning: search_space: no hyperparameter dropuot",
        "predict: must be a group of parameters, found 'pruned'",
    ):
        assert sum(line.startswith(start) for line in lines) == 1, start
    assert len(lines) == 8


def test_a_single_problem_is_the_message() -> None:
    with pytest.raises(SettingsError, match=r"^cross_validation\.n_splits: .*\(found 1\)$"):
        all_settings({"cross_validation": {"n_splits": 1}})


def test_the_suffix_of_input_nodes_has_one_place() -> None:
    with pytest.raises(SettingsError, match=r"^modelling\.network\.gene_suffix: .*data_engineering\.input_suffix"):
        all_settings({"modelling": {"network": {"gene_suffix": "_x"}}})


def test_advice_names_the_nearest_or_else_what_there_is() -> None:
    assert near_names("modeling", ["modelling", "reporting"]) == "did you mean modelling?"
    assert near_names("xyz", ["modelling", "reporting"]) == "there are modelling, reporting"
