"""The settings that ship in `conf/` are settings, and say what they are meant to."""

from pathlib import Path

import pytest

from kpnn.settings import CONFIG_LOADER_ARGS
from kpnn.studies import StudyConfigLoader
from kpnn.training.settings import RECIPES, EvaluationSettings, Hyperparameters

CONF = Path(__file__).resolve().parents[2] / "conf"


def modelling(env):
    parameters = StudyConfigLoader(str(CONF), env, **CONFIG_LOADER_ARGS)["parameters"]
    return EvaluationSettings.model_validate(parameters["modelling"])


@pytest.mark.parametrize("env", ["tutorial", "tcr,tutorial"])
def test_the_tutorials_environment_trains_as_the_tutorial_does(env):
    settings = modelling(env)
    assert settings.protocol == "tutorial"
    assert settings.tuning.n_trials == 0
    assert settings.hyperparameters == Hyperparameters(
        dropout=0.2,
        dropout_on="edges",
        bias_l1=1e-3,
        bias_l2=1e-2,
        weight_prior=0.0,
        initializer="glorot_uniform",
        hidden_activation="sigmoid",
        input_normalization="none",
        learning_rate=1e-3,
        batch_size=64,
    )
    assert (settings.fit.max_epochs, settings.fit.patience, settings.fit.learning_rate_schedule) == (
        200,
        10,
        "constant",
    )


def test_the_search_starts_from_recipes_the_tutorials_among_them():
    settings = modelling(None)
    assert settings.fit.ensemble == 5
    assert 0 < len(settings.tuning.recipes) <= settings.tuning.n_trials
    assert settings.tuning.recipes[0].items() <= settings.hyperparameters.model_dump().items()
    tutorials = modelling("tutorial").hyperparameters.model_dump(exclude={"bias_l1", "bias_l2"})
    last = {**settings.hyperparameters.model_dump(), **settings.tuning.recipes[-1]}
    assert tutorials.items() <= last.items()


def test_a_project_without_configuration_trains_as_the_shipped_one_does():
    shipped = modelling(None)
    assert shipped.hyperparameters == Hyperparameters()
    assert shipped.tuning.recipes == RECIPES
