"""Every parameter with every kind of nonsense: refused by name, before anything runs. What makes sense passes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest
from kedro.config import OmegaConfigLoader
from pydantic import BaseModel

from kpnn.errors import SettingsError
from kpnn.nn.activations import ACTIVATIONS
from kpnn.nn.initialization import INITIALIZERS, _conducts
from kpnn.pipelines.parameters import GROUPS, all_settings
from kpnn.settings import CONFIG_LOADER_ARGS
from kpnn.settings_base import Settings
from kpnn.training import settings as training_settings

ROOT = Path(__file__).resolve().parents[2]
GIVEN: dict[str, Any] = OmegaConfigLoader(str(ROOT / "conf"), env="base", **CONFIG_LOADER_ARGS)["parameters"]
STATED = {  # what is null or empty as shipped, with a value that makes sense
    "cross_validation": {"group_by": "donor"},
    "download": {"address": "https://host/", "files": {"a.csv": {"kind": "edges", "expect": {"edges": 3}}}},
    "data_engineering": {
        "label": "state",
        "classes": ["a", "b"],
        "positive": "a",
        "receptors": {"A": ["B"]},
        "output_nodes": {"a": "A"},
        "describe_by": ["batch"],
        "one_of_k": False,
    },
    "dag_selection": {
        "keep_nodes": ["A"],
        "forbid_nodes": ["B"],
        "keep_edges": [["A", "C"]],
        "max_depth": 5,
        "max_parents": 5,
        "size_path": [1, 2],
    },
    "modelling": {
        "top_genes": 100,
        "hyperparameters": {"gene_dropout": 0.1, "node_dropout": 0.1},
        "fit": {"class_weight": "balanced"},
        "tuning": {
            "timeout_seconds": 100.0,
            "search_space": {"batch_size": {"type": "int", "low": 32, "high": 64, "log": False}},
        },
        "execution": {"threads_per_fit": 1, "scheduler": "tcp://host:8786"},
        "tracking": {"register_as": "best"},
    },
    "priors": {"wanted": ["omnipath.tsv"]},
    "simulate": {"network": {"n_genes": 50}},
}
NO_NUMBER = {
    "not a number": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "giant": 10**30,
    "1e300": 1e300,
}
ANYTHING_ELSE = {"list in a list": [[1]], "unknown group": {"no_such_name": math.nan}}
NONSENSE: dict[type, dict[str, Any]] = {
    bool: {"text": "some text", "empty": "", "two": 2, "list": [True], **NO_NUMBER, **ANYTHING_ELSE},
    int: {"true": True, "false": False, "text": "a b", "empty": "", "negative": -7, "list": [1]}
    | NO_NUMBER
    | ANYTHING_ELSE,
    float: {
        "true": True,
        "false": False,
        "text": "a b",
        "empty": "",
        "negative": -0.5,
        "list": [1.0],
        "text nan": "nan",
    }
    | NO_NUMBER
    | ANYTHING_ELSE,
    str: {"number": 7, "true": True, "list": ["some text"], **NO_NUMBER, **ANYTHING_ELSE},
    list: {"number": 7, "true": True, "text": "some text", **NO_NUMBER, **ANYTHING_ELSE},
    dict: {"number": 7, "true": True, "text": "some text", "list": [1], **NO_NUMBER},
}
EXCLUDE: dict[tuple[str, str], tuple[Any, dict[str, Any]]] = {  # what excludes others: with these it makes sense
    ("data_engineering", "outputs"): (
        ["A"],
        {"label": None, "classes": None, "positive": None, "output_nodes": {}, "receptors": {}},
    ),
    ("dag_selection", "lanes"): (2, {"max_depth": None, "max_parents": None}),
}
TAKEN_FROM_ELSEWHERE = {("modelling", "network", "gene_suffix")}
TAKES_MORE = (
    "data_engineering.classes",  # a list, or a group of lists
    "data_engineering.classes.0",  # values of a column: what YAML takes for a number or a truth may be one
    "data_engineering.classes.1",
    "data_engineering.positive",
    "data_engineering.library_size",  # a word or a number
    "priors.files.ReactomePathways.gmt.zip.options.columns.parent",  # a name or a number
)
Path_ = tuple[str | int, ...]


def merged(base: Any, more: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return deepcopy(more)
    return {**base, **{key: merged(base.get(key), value) for key, value in more.items()}}


PARAMETERS = merged(GIVEN, STATED)


def places(value: Any, at: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*at, key), inner
        yield from places(inner, (*at, key))


def with_value(place: Path_, value: Any) -> dict[str, Any]:
    """The parameters of one group, one of them changed."""
    group = place[0]
    changed: Any = {group: deepcopy(PARAMETERS[group])}
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def test_what_is_fuzzed_makes_sense_itself() -> None:
    assert set(all_settings(PARAMETERS)) == set(GROUPS)


def fields_of(settings: BaseModel, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in type(settings).model_fields:
        yield (*at, name)
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from fields_of(value, (*at, name))


def test_every_parameter_is_fuzzed() -> None:
    named = {tuple(part for part in place if isinstance(part, str)) for place, v in places(PARAMETERS) if v is not None}
    fuzzed = {place[:n] for place in named for n in range(1, len(place) + 1)}
    fields = {field for group, found in all_settings(PARAMETERS).items() for field in fields_of(found, (group,))}
    assert len(fields) > 100 and fields <= fuzzed | set(EXCLUDE) | TAKEN_FROM_ELSEWHERE


@pytest.mark.parametrize(("group", "name"), EXCLUDE)
def test_nonsense_in_what_excludes_other_parameters_is_refused_by_name(group: str, name: str) -> None:
    sensible, others = EXCLUDE[group, name]
    without: dict[str, Any] = {**PARAMETERS[group], **others}
    all_settings({group: {**without, name: sensible}})
    for kind, nonsense in NONSENSE[type(sensible)].items():
        with pytest.raises(SettingsError, match=f"{group}.{name}"):
            all_settings({group: {**without, name: nonsense}})
            pytest.fail(kind)


@pytest.mark.parametrize("group", GROUPS)
def test_nonsense_in_any_place_is_refused_by_name(group: str) -> None:
    n_cases = 0
    for place, value in places({group: PARAMETERS[group]}):
        if value is None or ".".join(map(str, place)) in TAKES_MORE:
            continue
        names = [part for part in place if isinstance(part, str)][-2:]
        for kind, nonsense in NONSENSE[type(value)].items():
            if isinstance(value, dict | list) and isinstance(nonsense, type(value)):
                continue  # what is wrong within is refused at its own place
            n_cases += 1
            with pytest.raises(SettingsError) as refused:
                all_settings(with_value(place, nonsense))
            assert group in str(refused.value), (place, kind)
            assert any(name in str(refused.value) for name in names), (place, kind)
    assert n_cases > 15


def test_a_name_that_is_not_known_is_refused_in_any_group() -> None:
    for place, value in places(PARAMETERS):
        if isinstance(value, dict):
            with pytest.raises(SettingsError, match="no_such_name"):
                all_settings(with_value((*place, "no_such_name"), 3))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("modelling.seed", 2**31 - 1),
        ("modelling.seed", 0),
        ("modelling.seed", 42.0),
        ("modelling.hyperparameters.learning_rate", "1e-3"),
        ("modelling.hyperparameters.kernel_l2", 0),
        ("modelling.hyperparameters.dropout", 0),
        ("modelling.execution.n_workers", -1),
        ("modelling.execution.n_workers", 8),
        ("modelling.tuning.n_trials", 0),
        ("modelling.tuning.recipes", []),
        ("modelling.tuning.search_space.weight_prior", None),
        ("dag_selection.time_limit", 7 * 86_400),
        ("dag_selection.gap", 0.999),
        ("data_engineering.library_size", 10_000),
        ("data_engineering.library_size", None),
        ("data_engineering.min_counts_per_cell", 1e6),
        ("data_engineering.in_memory_cells", 1_000_000_000),
        ("data_engineering.positive", True),
        ("reporting.title", "1 = 2 <b>ü</b>"),
        ("cross_validation.n_repeats", 100),
    ],
)
def test_unusual_values_that_make_sense_pass(place: str, value: Any) -> None:
    changed = with_value(tuple(place.split(".")), value)
    if place == "data_engineering.positive":
        changed["data_engineering"]["classes"] = None
    assert set(all_settings(changed)) == set(GROUPS)


@pytest.mark.parametrize(
    "place",
    ["modelling.seed", "modelling.fit.ensemble", "controls.rewired", "cross_validation.n_splits", "simulate.seed"],
)
def test_a_part_of_one_is_no_whole_number(place: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{place}: Input should be a valid integer"):
        all_settings(with_value(tuple(place.split(".")), 4.5))


def test_columns_of_the_users_own_files_may_hold_numbers_of_any_size() -> None:
    options = {"only": {"position": {"at_least": 10**12}}}
    file = {"address": "https://h/a", "licence": "x", "options": options}
    assert set(all_settings({"priors": {"files": {"a.csv": file}}})) == set(GROUPS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hyperparameters": {"hidden_activation": "swish"}}, r"hidden_activation: Input should be 'linear'"),
        ({"hyperparameters": {"hidden_activation": "relu"}}, r"hidden_activation relu has a corner at 0"),
        ({"tuning": {"recipes": [{}, {"hidden_activation": "selu"}]}}, r"hidden_activation selu has a corner at 0"),
        (
            {"tuning": {"search_space": {"hidden_activation": {"type": "categorical", "choices": ["tanh", "relu"]}}}},
            r"hidden_activation relu has a corner at 0",
        ),
        (
            {"tuning": {"search_space": {"batch_size": {"type": "float", "low": 8, "high": 64}}}},
            r"batch_size is a whole number: search it with type: int",
        ),
        ({"tuning": {"recipes": [{"dropout": 0.1}, {"dropout": 2}]}}, r"recipe 2, dropout: .* less than 1 \(found 2\)"),
        ({"tuning": {"recipes": [{"dropuot": 0.1}]}}, r"recipe 1, dropuot: did you mean dropout\?"),
        ({"tracking": {"register_as": "a/b"}}, r"register_as: .*no / and no : in the name"),
    ],
)
def test_what_would_end_training_is_refused_before_it(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        all_settings({"modelling": changes})


def test_a_start_with_corners_is_fine_where_it_does_not_have_to_conduct() -> None:
    relu = {"hidden_activation": "relu", "initializer": "he_uniform"}
    chosen = all_settings({"modelling": {"hyperparameters": relu}})["modelling"].hyperparameters
    assert chosen.hidden_activation == "relu"


@pytest.mark.parametrize(
    ("simulate", "message"),
    [
        ({"network": {"n_gens": 5}}, r"scenario cyclic has no size n_gens \(it has n_signalling"),
        ({"network": {"n_genes": "many"}}, r"n_genes must be a whole number from 0 to 100,000,000, found 'many'"),
        ({"scenario": "deep", "network": {"widths": [4, -1]}}, r"widths must be a whole number"),
        ({"scenario": "tcr_like", "network": {"n_hidden": 1.5}}, r"n_hidden must be a whole number"),
    ],
)
def test_sizes_of_the_simulated_network_are_checked_with_the_others(simulate: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        all_settings({"simulate": simulate})


def test_a_message_shows_neither_a_whole_group_nor_credentials() -> None:
    tuning = {"storage": ["postgresql://ada:lovelace@host/optuna"], "recipes": 3, "sampler": "x" * 5000}
    with pytest.raises(SettingsError) as refused:
        all_settings({"modelling": {"tuning": tuning}, "data_engineering": {"rest": "other"}})
    assert "lovelace" not in str(refused.value)
    assert max(map(len, str(refused.value).splitlines())) < 250


def test_settings_know_the_activations_and_initializers_that_networks_do() -> None:
    assert set(get_args(training_settings.HiddenActivation)) == set(ACTIVATIONS)
    assert set(get_args(training_settings.Initializer)) == set(INITIALIZERS)
    assert set(training_settings._NOT_SMOOTH) == {name for name, one in ACTIVATIONS.items() if not _conducts(one)}


def test_all_settings_have_the_common_rules() -> None:
    def within(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
        yield model
        for field in model.model_fields.values():
            for part in (field.annotation, *get_args(field.annotation)):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    yield from within(part)

    assert all(issubclass(model, Settings) for group in GROUPS.values() for model in within(group))
