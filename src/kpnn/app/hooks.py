"""Hooks into Kedro's life cycle."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel

from kpnn.addresses import shown
from kpnn.app.currency import STAGES, by_cause, stages_to_redo
from kpnn.app.ledger import Ledger, is_raw
from kpnn.app.lock import Claim, StudyLock
from kpnn.app.mlflow_hook import ForgivingMlflowHook
from kpnn.app.preflight import RunPlan, problems
from kpnn.app.result_keeper import CHAIN, ResultKeeper
from kpnn.errors import KpnnError, SettingsError, some_names
from kpnn.settings_base import of_kind
from kpnn.tracking.settings import ServerSettings

_log = logging.getLogger(__name__)

_WRITTEN_BY = {
    "raw data": "put your files there, or name them in conf/<env>/catalog.yml",
    "the demo's raw data": "make them with `kedro run --pipeline simulate`, or name a study of your own",
    "intermediate data": "run the pipeline that writes it first, or the whole study with `kedro run`",
}
_TRAINING = {"modelling", "reporting", "predict", "__default__"}


class BeforeRunHook:
    """What is looked at before the first node: parameters, files, resources, other runs of the same study."""

    def __init__(self, mlflow: ForgivingMlflowHook) -> None:
        """Takes the hook that opens MLflow, to ask it beforehand.

        Args:
            mlflow: opens MLflow after all is looked at.
        """
        self._mlflow = mlflow
        self._parameters: dict[str, Any] = {}
        self._settings: dict[str, BaseModel] = {}
        self._study = self._env = ""
        self._root = Path()
        self._lock: StudyLock | None = None
        self._stores: tuple[Path, ...] = ()
        self._keeper: ResultKeeper | None = None

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Checks all parameters of all pipelines.

        Raises:
            SettingsError: naming every parameter that makes no sense.
        """
        from kpnn.pipelines.parameters import all_settings

        try:
            self._parameters = context.config_loader["parameters"]
        except MissingConfigException:
            self._parameters = {}
        self._settings = all_settings(self._parameters)
        self._root = Path(context.project_path)
        self._env = f" --env {context.env}" if context.env else ""
        self._study = str(context.config_loader["globals"].get("study") or context.env or "study")

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Hands nodes their settings, and looks at everything that could end the run later.

        Raises:
            KpnnError: a file that the run reads does not exist, or another run is at work on the same study.
            SettingsError: naming everything else that would end the run.
        """
        self._stores, self._keeper = (), None  # of an earlier run of this process
        self._hand_on_settings(catalog)
        check_inputs(pipeline, catalog)
        names = run_params.get("pipeline_names") or ["__default__"]
        plan = self._plan(names, pipeline, catalog)
        self._take_study(Claim(self._study, _makes(names, plan.writes, catalog), tuple(map(str, plan.writes))))
        try:
            self._look_ahead(plan, run_params)
            ledger = Ledger(self._root, self._root / "data" / ".studies" / self._study / "results.json")
            self._keeper = ResultKeeper(pipeline, catalog, ledger, self._settings)
            self._require_current(names)
            self._hand_on_chain()
        except BaseException:
            self.release()
            raise
        self._stores = _stores(plan.writes)

    def _look_ahead(self, plan: RunPlan, run_params: dict[str, Any]) -> None:
        found = problems(plan)
        of_mlflow = self._mlflow.problem(run_params, of_kind(self._settings, ServerSettings))
        found += [of_mlflow] if of_mlflow else []
        if found:
            raise SettingsError("\n  ".join([f"before the first node, {len(found)} to mend:", *found]))

    def _require_current(self, names: list[str]) -> None:
        """Raises KpnnError where what the run reads was not made by what is configured now, unless that is allowed."""
        assert self._keeper is not None
        found = self._keeper.stale_inputs()
        if set(names) == {"predict"}:  # it applies networks that are there; only a mixture of several studies is wrong
            told = [one for one in found if one.kind == "settings"]
            found = [one for one in found if one.kind != "settings"]
            if told:
                _log.warning(
                    "the networks were trained by other settings than are set now: %s", "; ".join(by_cause(told))
                )
        if not found:
            return
        causes = by_cause(found)
        if self._parameters.get("allow_stale"):
            _log.warning("not current, and shown as they are (allow_stale): %s", "; ".join(causes))
            self._keeper.catalog.save("parameters", {**shown(self._parameters), "not_current": causes})
            return
        last = next((name for name in reversed(STAGES) if name in names), "")
        command = f"kedro run{self._env} --pipelines {','.join(stages_to_redo(found, pipelines, last))}"
        raise KpnnError(
            "\n  ".join(["results on disk were not made by what is configured now:", *causes])
            + f"\nBring them up to date with `{command}` (finished folds that still hold are kept), or show them as "
            "they are with `--params allow_stale=true`"
        )

    def _hand_on_chain(self) -> None:
        """Tells the report, by the parameters that it shows, what the study was made from so far."""
        assert self._keeper is not None
        shown_ones = self._keeper.catalog.get("parameters")  # not by the catalog, which logs every time
        if shown_ones is not None:
            shown_ones.save({**shown_ones.load(), "made_from": self._keeper.contents()})

    def _take_study(self, claim: Claim) -> None:
        lock = StudyLock(self._root / "data" / ".studies" / self._study)
        try:
            lock.acquire(claim)
        except OSError as error:
            raise SettingsError(
                f"{error.filename or self._root / 'data'}: cannot be written ({error.strerror})"
            ) from None
        self._lock = lock

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Notes when a node begins."""
        if self._keeper is not None:
            self._keeper.begun[node.name] = time.time()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Writes down what a result was made from."""
        if self._keeper is not None:
            self._keeper.keep(dataset_name, node)
            if dataset_name in CHAIN:
                self._hand_on_chain()

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """Gives the study back, after the results of nodes that ran in other processes are written down."""
        if self._keeper is not None:
            self._keeper.keep_all()
            self._mlflow.log_contents(self._keeper.contents())  # its run is open still
        self.release()
        self._stores = ()  # what ends this process later has nothing to do with this run

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Gives the study back."""
        self.release()

    def interrupted(self) -> None:
        """Closes what a run that is interrupted has open in MLflow, and gives the study back."""
        self._mlflow.close_runs("KILLED")
        self.release()

    @property
    def kept(self) -> str:
        """What a run that ended too early leaves, in one sentence; nothing where it was not to train."""
        kept = [store for store in self._stores if any(store.glob("**/repeat_*/manifest.json"))]
        if not self._stores:
            return ""
        if not kept:
            return "no fold was finished yet, finished trials are kept, and the same command goes on"
        return f"finished folds are kept in {kept[0].parent}, and the same command goes on from there"

    def release(self) -> None:
        """Gives the study back, however the run ended."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _hand_on_settings(self, catalog: CatalogProtocol) -> None:
        """Puts settings where nodes look for groups of parameters; all at once stay as written, but for credentials."""
        for name, settings in self._settings.items():
            if f"params:{name}" in catalog:
                catalog.save(f"params:{name}", settings)  # Kedro warns of an entry that is replaced
            else:
                catalog[f"params:{name}"] = settings
        catalog.save("parameters", shown(self._parameters))

    def _plan(self, names: list[str], pipeline: Pipeline, catalog: CatalogProtocol) -> RunPlan:
        raw = {
            name: path
            for name in pipeline.inputs()
            if (path := _local_path(catalog, name)) is not None and is_raw(catalog, name)
        }
        nodes = {node.short_name.rsplit(".", 1)[-1] for node in pipeline.nodes}
        return RunPlan(
            writes=tuple(sorted(_written(pipeline, catalog))),
            raw=raw,
            trains=bool(_TRAINING.intersection(names)),
            searches="cross_validate" in nodes,
            selects="select_dag" in nodes,
            settings=self._settings,
        )


def check_inputs(pipeline: Pipeline, catalog: CatalogProtocol) -> None:
    """Checks that the files are there that a pipeline reads.

    Args:
        pipeline: what is to run.
        catalog: where its files lie.

    Raises:
        KpnnError: naming each missing dataset, its file and what to do.
    """
    missing, brought = [], False
    for name in sorted(pipeline.inputs()):
        if name.startswith("params:") or name == "parameters":
            continue
        if not catalog.exists(name) and not getattr(catalog.get(name), "optional", False):
            path = _path_of(catalog, name)
            missing.append(f"{name} ({path})" if path else name)
            brought |= is_raw(catalog, name)
    if missing:
        kind = "raw data" if brought else "intermediate data"
        if any("01_raw/demo/" in entry for entry in missing):
            kind = "the demo's raw data"
        raise KpnnError(f"nothing to read for {some_names(missing)}: {_WRITTEN_BY[kind]}")


def _written(pipeline: Pipeline, catalog: CatalogProtocol) -> set[Path]:
    """Local paths that a pipeline's nodes write; a fold store is written by whoever cross-validates."""
    names = pipeline.all_outputs()
    for node in pipeline.nodes:
        if node.short_name.endswith("cross_validate"):
            names |= {name for name in node.inputs if name.endswith("fold_store")}
    return {path for name in names if (path := _local_path(catalog, name))}


def _stores(writes: tuple[Path, ...]) -> tuple[Path, ...]:
    """The folders among what is written in which folds are kept."""
    return tuple(path for path in writes if path.name == "controls" or (not path.suffix and "06_models" in path.parts))


def _makes(names: list[str], writes: tuple[Path, ...], catalog: CatalogProtocol) -> bool:
    """Whether what is written is read by a pipeline that can be run by itself."""
    alone = [pipelines[name] for name in pipelines if name not in ("__default__", *names)]
    read = {path for one in alone for name in one.inputs() if (path := _local_path(catalog, name))}
    return bool(read.intersection(writes)) or "__default__" in names


def _local_path(catalog: CatalogProtocol, name: str) -> Path | None:
    path = _path_of(catalog, name)
    return Path(path) if path and "://" not in path else None


def _path_of(catalog: CatalogProtocol, name: str) -> str:
    dataset = catalog.get(name)
    return str(dataset._describe().get("filepath", "")) if dataset is not None else ""
