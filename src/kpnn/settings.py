"""Kedro settings of the project."""

from omegaconf.resolvers import oc

from kpnn.hooks import MissingInputsHook

HOOKS = (MissingInputsHook(),)
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {"oc.env": oc.env},
}
