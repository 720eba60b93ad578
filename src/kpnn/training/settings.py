"""How arms are trained and evaluated: typed, validated settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Range(_Settings):
    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"a log scale needs low above 0, got {self.low:g}")
        return self


class FloatRange(_Range):
    """A number to tune between `low` and `high`, on a log scale if `log`."""

    type: Literal["float"]


class IntRange(_Range):
    """A whole number to tune between `low` and `high`, on a log scale if `log`."""

    type: Literal["int"]
    low: int
    high: int


class Choice(_Settings):
    """One of several values to tune over."""

    type: Literal["categorical"]
    choices: tuple[str | int | float | bool, ...] = Field(min_length=1)


SearchRange = Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]


class Hyperparameters(_Settings):
    """What a fit may be tuned over; the values here hold where the search space does not name them.

    Attributes:
        dropout: share of what `dropout_on` names that is dropped in each training step.
        gene_dropout: share of genes dropped; None: `dropout`. Only where nodes are dropped.
        node_dropout: share of hidden neurons dropped; None: `dropout`. Only where nodes are dropped.
        dropout_on: `edges` (of each neuron, as corneto's build_dagnn) or `nodes` (genes and neurons, as
            Fortelny & Bock).
        kernel_l1: L1 penalty on edge weights.
        kernel_l2: L2 penalty on edge weights.
        bias_l1: L1 penalty on biases.
        bias_l2: L2 penalty on biases.
        hidden_activation: Keras name of the hidden neurons' activation.
        input_normalization: `none`, `standard` (by the training cells) or `batch`.
        learning_rate: of Adam.
        batch_size: cells per training step.
    """

    dropout: float = Field(0.2, ge=0, lt=1)
    gene_dropout: float | None = Field(None, ge=0, lt=1)
    node_dropout: float | None = Field(None, ge=0, lt=1)
    dropout_on: Literal["edges", "nodes"] = "edges"
    kernel_l1: float = Field(0.0, ge=0)
    kernel_l2: float = Field(0.0, ge=0)
    bias_l1: float = Field(0.0, ge=0)
    bias_l2: float = Field(0.0, ge=0)
    hidden_activation: str = "tanh"
    input_normalization: Literal["none", "standard", "batch"] = "standard"
    learning_rate: float = Field(1e-2, gt=0)
    batch_size: int = Field(64, ge=1)


class NetworkSettings(_Settings):
    """What all fits of an arm share.

    Attributes:
        initializer: how weights start.
        signed: weights keep the sign of their edge.
        gene_suffix: what an input node's name has after its gene's.
    """

    initializer: str = "glorot_uniform"
    signed: bool = False
    gene_suffix: str = "_gene"


class FitSettings(_Settings):
    """When a fit stops.

    Attributes:
        max_epochs: at most so many passes over the training cells.
        patience: epochs without a lower validation loss before it stops; the best weights are kept.
        validation_fraction: share of the training cells that only early stopping looks at.
        class_weight: `balanced` (classes count alike) or None (cells count alike).
    """

    max_epochs: int = Field(200, ge=1)
    patience: int = Field(10, ge=1)
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    class_weight: Literal["balanced"] | None = None


class TuningSettings(_Settings):
    """How hyperparameters are searched in each outer training part.

    Attributes:
        n_trials: configurations tried per fold; 0 takes the hyperparameters as they are set.
        timeout_seconds: no trial starts later than this after a fold's first; None: no limit.
        batch_size: trials that are proposed, and trained, together.
        inner: `holdout` (one inner split) or `kfold` (the mean over `inner_splits`).
        inner_splits: number of inner folds for `kfold`.
        sampler: how trials are proposed.
        pruner: how hopeless trials are ended early.
        storage: SQLAlchemy URL of Optuna's database; any number of machines may share a server's.
        search_space: what to search, by name of a hyperparameter; null takes a name out again, for an environment
            that does not search what the base configuration does.
    """

    n_trials: int = Field(20, ge=0)
    timeout_seconds: float | None = Field(None, gt=0)
    batch_size: int = Field(4, ge=1)
    inner: Literal["holdout", "kfold"] = "holdout"
    inner_splits: int = Field(3, ge=2)
    sampler: Literal["tpe", "random", "gp"] = "tpe"
    pruner: Literal["median", "successive_halving", "hyperband", "none"] = "median"
    storage: str = "sqlite:///data/06_models/demo/optuna.db"
    search_space: dict[str, SearchRange] = Field(default_factory=dict)

    @field_validator("search_space", mode="before")
    @classmethod
    def _without_nulls(cls, space: Any) -> Any:
        return {k: v for k, v in space.items() if v is not None} if isinstance(space, dict) else space

    @model_validator(mode="after")
    def _known_names(self) -> TuningSettings:
        unknown = sorted(set(self.search_space) - set(Hyperparameters.model_fields))
        if unknown:
            raise ValueError(
                f"search_space: no hyperparameter {', '.join(unknown)}; there are "
                f"{', '.join(Hyperparameters.model_fields)}"
            )
        for name, searched in self.search_space.items():
            ends: tuple[Any, ...] = searched.choices if isinstance(searched, Choice) else (searched.low, searched.high)
            for value in ends:
                Hyperparameters(**{name: value})  # the ends must themselves be allowed
        return self


class ExecutionSettings(_Settings):
    """Where fits run; results do not depend on it.

    Attributes:
        executor: `sequential`, `processes` (on this machine) or `dask`.
        n_workers: processes or local dask workers; -1: one per core.
        threads_per_fit: threads that a fold's trials share; None: the cores divided by the workers.
        scheduler: address of a running dask scheduler (`tcp://host:8786`); None starts a local cluster.
    """

    executor: Literal["sequential", "processes", "dask"] = "sequential"
    n_workers: Literal[-1] | PositiveInt = -1
    threads_per_fit: int | None = Field(None, ge=1)
    scheduler: str | None = None


class TrackingSettings(_Settings):
    """What of the arms goes to MLflow beyond arm and fold runs.

    Attributes:
        trial_runs: each Optuna trial is a run below its fold.
        register_as: name under which the best arm's model is registered; None: it is not.
    """

    trial_runs: bool = False
    register_as: str | None = Field(None, min_length=1)


class EvaluationSettings(_Settings):
    """Everything that decides an arm's result, but for its cells, its DAG and its folds.

    Attributes:
        protocol: `nested` (tuned and stopped on inner splits; the outer fold is touched once) or `tutorial`
            (stopped on the fold that is then reported, untuned: optimistic, kept to reproduce it).
        seed: every random number derives from it, the repeat and the fold.
        resume: folds that an earlier run finished with the same data, network, settings and code are kept.
        top_genes: train on the genes of highest variance over the fold's training cells only; None: all genes.
        hyperparameters: the values of what is not tuned.
        network: what all fits share.
        fit: when a fit stops.
        tuning: the search.
        execution: where fits run.
        tracking: what goes to MLflow.
    """

    protocol: Literal["nested", "tutorial"] = "nested"
    seed: int = Field(42, ge=0)
    resume: bool = True
    top_genes: int | None = Field(None, ge=1)
    hyperparameters: Hyperparameters = Hyperparameters()
    network: NetworkSettings = NetworkSettings()
    fit: FitSettings = FitSettings()
    tuning: TuningSettings = TuningSettings()
    execution: ExecutionSettings = ExecutionSettings()
    tracking: TrackingSettings = TrackingSettings()

    def decisive(self) -> str:
        """The settings on which a fold's result depends, as JSON: not where it runs or what is logged of it."""
        return self.model_dump_json(
            exclude={"resume": True, "execution": True, "tracking": True, "tuning": {"storage"}}
        )

    def with_threads(self, threads: int) -> EvaluationSettings:
        """The same settings with the number of threads per fit made explicit."""
        return self.model_copy(update={"execution": self.execution.model_copy(update={"threads_per_fit": threads})})

    def with_gene_suffix(self, gene_suffix: str) -> EvaluationSettings:
        """The same settings for networks whose input nodes are named gene + suffix."""
        return self.model_copy(update={"network": self.network.model_copy(update={"gene_suffix": gene_suffix})})
