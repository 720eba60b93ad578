"""How arms are trained and evaluated: typed, validated settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, PositiveInt, Tag, ValidationError, field_validator, model_validator

from kpnn.errors import near_names
from kpnn.settings_base import Settings

Initializer = Literal["glorot_uniform", "lecun_uniform", "he_uniform", "standard_normal", "conducting"]
HiddenActivation = Literal[
    "linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "softplus", "softsign", "hard_sigmoid"
]
_NOT_SMOOTH = ("relu", "leaky_relu", "selu")
# What `kpnn.nn` knows, which takes seconds to import; tests hold the three to its tables.


class _Range(Settings):
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
    """A number to tune between `low` and `high`, on a log scale if `log`.

    Attributes:
        type: says that it is a number.
        low: least value.
        high: greatest value.
        log: whether values of each order of magnitude are tried alike; `low` is then above 0.
    """

    type: Literal["float"]


class IntRange(_Range):
    """A whole number to tune between `low` and `high`, on a log scale if `log`.

    Attributes:
        type: says that it is a whole number.
        low: least value.
        high: greatest value.
        log: whether values of each order of magnitude are tried alike; `low` is then above 0.
    """

    type: Literal["int"]
    low: int
    high: int


class Choice(Settings):
    """One of several values to tune over.

    Attributes:
        type: says that it is a choice.
        choices: the values.
    """

    type: Literal["categorical"]
    choices: tuple[str | int | float | bool, ...] = Field(min_length=1)


def _type_of(searched: Any) -> Any:
    return searched.get("type") if isinstance(searched, Mapping) else getattr(searched, "type", None)


SearchRange = Annotated[
    Annotated[FloatRange, Tag("float")] | Annotated[IntRange, Tag("int")] | Annotated[Choice, Tag("categorical")],
    Discriminator(
        _type_of,
        custom_error_type="demand",
        custom_error_message="must be a group with a `type`: float, int or categorical",
    ),
]


class Hyperparameters(Settings):
    """What a fit may be tuned over; the values here hold where the search space does not name them.

    Attributes:
        dropout: share of what `dropout_on` names that is dropped in each training step.
        gene_dropout: share of genes, or of edges from genes, dropped; None: `dropout`.
        node_dropout: share of hidden neurons, or of edges from them, dropped; None: `dropout`.
        dropout_on: `edges` (of each neuron, as corneto's build_dagnn) or `nodes` (genes and neurons, as
            Fortelny & Bock).
        kernel_l1: L1 penalty: this times the sum of absolute edge weights is added to the loss.
        kernel_l2: L2 penalty: this times the sum of squared edge weights is added to the loss.
        bias_l1: L1 penalty: this times the sum of absolute biases is added to the loss.
        bias_l2: L2 penalty: this times the sum of squared biases is added to the loss.
        weight_prior: strength of a Gaussian prior around the weights' start, in units of their initial variance and of
            the number of training cells, so that a value means the same for 300 and for 30,000 edges. 0: none; 1:
            weights are expected to move about as far as they start.
        initializer: how weights start; `conducting` lets every gene reach its outputs through any number of levels.
        hidden_activation: Keras name of the hidden neurons' activation.
        input_normalization: `none`, `standard` (each gene by its own spread in the training cells), `common` (all genes
            by one spread) or `batch`.
        learning_rate: step size of the optimizer, Adam, at the start (see `learning_rate_schedule`).
        batch_size: cells per training step.

    Examples:
        >>> Hyperparameters(weight_prior=1).hidden_activation
        'sigmoid'
    """

    dropout: float = Field(0.0, ge=0, lt=1)
    gene_dropout: float | None = Field(None, ge=0, lt=1)
    node_dropout: float | None = Field(None, ge=0, lt=1)
    dropout_on: Literal["edges", "nodes"] = "nodes"
    kernel_l1: float = Field(0.0, ge=0, le=1e6)
    kernel_l2: float = Field(0.0, ge=0, le=1e6)
    bias_l1: float = Field(0.0, ge=0, le=1e6)
    bias_l2: float = Field(0.0, ge=0, le=1e6)
    weight_prior: float = Field(3.0, ge=0, le=1e6)
    initializer: Initializer = "conducting"
    hidden_activation: HiddenActivation = "sigmoid"
    input_normalization: Literal["none", "standard", "common", "batch"] = "common"
    learning_rate: float = Field(1e-2, gt=0, le=100)
    batch_size: int = Field(64, ge=1)


RECIPES: tuple[dict[str, Any], ...] = (
    {"weight_prior": 3.0},
    {"weight_prior": 0.1, "learning_rate": 0.003},
    {"weight_prior": 0.01, "gene_dropout": 0.5},
    {"weight_prior": 10.0},
    {"weight_prior": 1.0, "input_normalization": "standard"},
    {
        "initializer": "glorot_uniform",
        "input_normalization": "none",
        "weight_prior": 0.0,
        "dropout": 0.2,
        "dropout_on": "edges",
        "learning_rate": 0.001,
    },
)
"""What is known to work on one kind of data or another; the shipped configuration tries the same ones first.

In their order: many cells, or many genes that each say a little; few genes that tell the classes apart; genes that
stand in for each other, or sparse counts; few cells; rare genes that say much; as CORNETO's tutorial trains.
"""


class NetworkSettings(Settings):
    """What all fits of an arm share.

    Attributes:
        signed: weights keep the sign of their edge.
        gene_suffix: what an input node's name has after its gene's; a study states it once, as
            `data_engineering.input_suffix`, and not here.
    """

    signed: bool = False
    gene_suffix: str = "_gene"


ClassWeight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class FitSettings(Settings):
    """What a fold's model is made of, and when the fit of one of its networks stops.

    Attributes:
        ensemble: networks of a fold's model, one per inner fold of its training cells: each is stopped on an inner fold
            of its own, and their mean logit is the prediction. 1: a single network, stopped on `validation_fraction`.
        max_epochs: most epochs.
        epoch_cells: cells after which an epoch ends, drawn anew for each one, and most of an inner fold's cells that
            early stopping looks at, always the same; where there are fewer, or None, all of them. Of hundreds of
            thousands of cells, a network has learnt what it can long before it has seen each a hundred times.
        patience: epochs without a lower validation loss before it stops; the best weights are kept.
        learning_rate_schedule: `constant`, or `plateau` (half the rate after half the patience without a lower loss).
        validation_fraction: with a single network, share of the training cells that only early stopping looks at.
        class_weight: `balanced` (classes count alike), None (cells count alike), or, where classes exclude each other,
            what a cell of each class counts, by name (1 for a class that is left out).
    """

    ensemble: int = Field(5, ge=1, le=1000)
    max_epochs: int = Field(400, ge=1)
    epoch_cells: int | None = Field(20_000, ge=1)
    patience: int = Field(20, ge=1)
    learning_rate_schedule: Literal["constant", "plateau"] = "plateau"
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    class_weight: Literal["balanced"] | dict[str, ClassWeight] | None = None


class TuningSettings(Settings):
    """How hyperparameters are searched in each outer training part.

    Attributes:
        n_trials: configurations tried per fold; 0 takes the hyperparameters as they are set.
        timeout_seconds: no trial starts later than this after a fold's first; None: no limit.
        batch_size: trials that are proposed, and trained, together.
        sampler: how Optuna proposes trials after the recipes: `tpe` (tree-structured Parzen estimator), `gp` (Gaussian
            process) or `random`.
        pruner: `race` (a trial earns its next inner folds by the ones before; see `kpnn.training.racing`) or `none`.
        recipes: the first trials, each naming what it does not take from `hyperparameters`; they need not lie in the
            search space.
        storage: SQLAlchemy URL of Optuna's database; any number of machines may share a server's.
        search_space: what to search, by name of a hyperparameter; null takes a name out again, for an environment
            that does not search what the base configuration does.

    Examples:
        >>> space = {"weight_prior": {"type": "float", "low": 0.1, "high": 10, "log": True}}
        >>> TuningSettings(n_trials=20, search_space=space).search_space["weight_prior"].high
        10.0
    """

    n_trials: int = Field(9, ge=0, le=100_000)
    timeout_seconds: float | None = Field(None, gt=0)
    batch_size: int = Field(5, ge=1, le=10_000)
    sampler: Literal["tpe", "random", "gp"] = "tpe"
    pruner: Literal["race", "none"] = "race"
    storage: str = Field("sqlite:///data/06_models/demo/optuna.db", min_length=1)
    recipes: tuple[dict[str, Any], ...] = ()
    search_space: dict[str, SearchRange] = Field(default_factory=dict)

    @field_validator("recipes")
    @classmethod
    def _possible(cls, recipes: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        for number, recipe in enumerate(recipes, 1):
            _require_allowed(recipe, f"recipe {number}, ")
        return recipes

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
                _require_allowed({name: value}, "search_space: ")
            if isinstance(searched, FloatRange) and Hyperparameters.model_fields[name].annotation is int:
                raise ValueError(f"search_space: {name} is a whole number: search it with type: int")
        return self


def _require_allowed(values: Mapping[str, Any], where: str) -> None:
    """Raises ValueError, in words, where a hyperparameter is unknown or may not have this value."""
    try:
        Hyperparameters.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise ValueError(f"{where}{name}: {near_names(name, Hyperparameters.model_fields)}") from None
        raise ValueError(f"{where}{name}: {first['msg']} (found {first['input']!r})") from None


class ExecutionSettings(Settings):
    """Where fits run; results do not depend on it.

    Attributes:
        executor: `threads` (a few folds at once in this process), `sequential` (one after the other, with the least
            memory), `processes` (on this machine) or `dask`.
        n_workers: processes or local dask workers, -1: one per core; of `threads` folds at once, -1: two, and one more
            for every four cores.
        threads_per_fit: threads that a fold's trials share; None: the cores, divided by the workers where these are
            processes.
        scheduler: address of a running dask scheduler (`tcp://host:8786`); None starts a local cluster.
        recovery_seconds: how long dask may be without its scheduler, or any worker, before the run ends.
    """

    executor: Literal["threads", "sequential", "processes", "dask"] = "threads"
    n_workers: Literal[-1] | PositiveInt = Field(-1, le=10_000)
    threads_per_fit: int | None = Field(None, ge=1, le=10_000)
    scheduler: str | None = Field(None, min_length=1)
    recovery_seconds: float = Field(10.0, gt=0, le=1e6)


class TrackingSettings(Settings):
    """What of the arms goes to MLflow beyond arm and fold runs.

    Attributes:
        trial_runs: each Optuna trial is a run of MLflow's below its fold's.
        register_as: name under which MLflow registers the model of the arm with the higher ROC-AUC; None: it does not.
    """

    trial_runs: bool = False
    register_as: str | None = Field(None, min_length=1)

    @field_validator("register_as")
    @classmethod
    def _is_a_name_for_mlflow(cls, name: str | None) -> str | None:
        if name is not None and ("/" in name or ":" in name):
            raise ValueError("MLflow takes no / and no : in the name of a registered model")
        return name


class EvaluationSettings(Settings):
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

    Examples:
        >>> settings = EvaluationSettings(fit=FitSettings(ensemble=3), tuning=TuningSettings(n_trials=0))
        >>> settings.protocol, settings.fit.max_epochs
        ('nested', 400)
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

    @model_validator(mode="after")
    def _starts_conduct(self) -> Self:
        for initializer, activation in sorted(self._starts()):
            if initializer == "conducting" and activation in _NOT_SMOOTH:
                raise ValueError(
                    f"hidden_activation {activation} has a corner at 0, where initializer conducting needs a slope: "
                    "choose another activation (sigmoid, tanh, softsign...) or initializer (glorot_uniform...)"
                )
        return self

    def _starts(self) -> set[tuple[str, str]]:
        """Each pair of an initializer and an activation that a fit may have."""
        names = ("initializer", "hidden_activation")
        base = {name: getattr(self.hyperparameters, name) for name in names}
        searched = {name: self.tuning.search_space.get(name) for name in names}
        choices = {name: of.choices if isinstance(of, Choice) else (base[name],) for name, of in searched.items()}
        found = {(str(one), str(other)) for one in choices[names[0]] for other in choices[names[1]]}
        found |= {tuple({**base, **recipe}[name] for name in names) for recipe in self.tuning.recipes}
        return found | {(base[names[0]], base[names[1]])}

    def decisive(self) -> str:
        """The settings on which a fold's result depends, as JSON: not where it runs or what is logged of it."""
        return self.model_dump_json(
            exclude={"resume": True, "execution": True, "tracking": True, "tuning": {"storage"}}
        )

    @property
    def searches(self) -> bool:
        """Whether hyperparameters are searched for: the tutorial's protocol takes them as they stand."""
        return self.protocol == "nested" and self.tuning.n_trials > 0

    def with_threads(self, threads: int) -> EvaluationSettings:
        """The same settings with the number of threads per fit made explicit.

        Args:
            threads: at least 1.
        """
        return self.model_copy(update={"execution": self.execution.model_copy(update={"threads_per_fit": threads})})

    def with_initializer(self, initializer: str) -> EvaluationSettings:
        """The same settings for networks whose weights all start in one way, whatever is set or searched.

        Args:
            initializer: as `kpnn.nn.build_kpnn` knows it.
        """
        recipes = tuple({**recipe, "initializer": initializer} for recipe in self.tuning.recipes)
        space = {name: searched for name, searched in self.tuning.search_space.items() if name != "initializer"}
        tuning = self.tuning.model_copy(update={"recipes": recipes, "search_space": space})
        hyperparameters = self.hyperparameters.model_copy(update={"initializer": initializer})
        return self.model_copy(update={"tuning": tuning, "hyperparameters": hyperparameters})

    def with_gene_suffix(self, gene_suffix: str) -> EvaluationSettings:
        """The same settings for networks whose input nodes are named gene + suffix.

        Args:
            gene_suffix: what to remove from the name of an input node to get its gene.
        """
        return self.model_copy(update={"network": self.network.model_copy(update={"gene_suffix": gene_suffix})})
