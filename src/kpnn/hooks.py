"""Hooks into Kedro's life cycle."""

from __future__ import annotations

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from kpnn.errors import KpnnError, some_names

_WRITTEN_BY = {
    "raw data": "put your files there, name them in conf/<env>/catalog.yml, or make the demo's with "
    "`kedro run --pipeline simulate`",
    "intermediate data": "run the pipeline that writes it first, or the whole study with `kedro run`",
}


class MissingInputsHook:
    """Stops a run before it begins, and before MLflow opens a run, if a file that it reads is not there."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Checks the pipeline's free inputs.

        Raises:
            KpnnError: naming each missing dataset, its file and what to do.
        """
        missing = []
        for name in sorted(pipeline.inputs()):
            if name.startswith("params:") or name == "parameters":
                continue
            if not catalog.exists(name):
                path = _path_of(catalog, name)
                missing.append(f"{name} ({path})" if path else name)
        if missing:
            raw = any("01_raw" in entry for entry in missing)
            advice = _WRITTEN_BY["raw data" if raw else "intermediate data"]
            raise KpnnError(f"nothing to read for {some_names(missing)}: {advice}")


def _path_of(catalog: CatalogProtocol, name: str) -> str:
    dataset = catalog.get(name)
    return str(dataset._describe().get("filepath", "")) if dataset is not None else ""
