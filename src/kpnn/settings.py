"""Kedro settings of the project."""

import gc
import warnings

from omegaconf.resolvers import oc

from kpnn.app.hooks import BeforeRunHook
from kpnn.app.mlflow_hook import ForgivingMlflowHook
from kpnn.app.pulse import PulseHook
from kpnn.app.terminal import TerminalHook
from kpnn.studies import StudyConfigLoader

# The libraries' modules are 700,000 objects. Looked through for garbage at every 700 new ones, as is Python's default,
# they cost a short run a twentieth of its time.
gc.set_threshold(10_000, 10, 10)

# The reporting pipeline reads both arms' namespaces, which Kedro takes for dots in names.
warnings.filterwarnings("ignore", message="One or more dataset names contain '.'", category=UserWarning)
# Controls stand between an arm's training and its weighing; that matters only where namespaces are run by themselves.
warnings.filterwarnings("ignore", message=r"Namespace '\w+' is interrupted by nodes", category=UserWarning)
# Genes that occur twice in a file are expected here, and joined by data_engineering.
warnings.filterwarnings("ignore", message="Variable names are not unique", category=UserWarning)

_mlflow = ForgivingMlflowHook()
HOOKS = (TerminalHook(), BeforeRunHook(_mlflow), _mlflow, PulseHook())
DISABLE_HOOKS_FOR_PLUGINS = ("kedro_mlflow",)  # ForgivingMlflowHook stands in for its own
CONFIG_LOADER_CLASS = StudyConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {"oc.env": oc.env},
    "merge_strategy": {"parameters": "soft", "mlflow": "soft"},  # an environment states only the values that differ
}
