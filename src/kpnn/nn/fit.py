"""Training one network, or several at once.

A step of one network is small (a few megabytes of numbers), so a fit runs on one core; several fits are one program in
which every free core takes the next network, or the next few that read the same cells in the same order. A network's
arithmetic and random numbers are the same in a batch as alone, bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Event
from typing import Any

import keras
import numpy as np

from kpnn.compiling import wait_until_compiled
from kpnn.doings import telling
from kpnn.errors import ModelError, SettingsError
from kpnn.nn.compiled_model import CompiledModel
from kpnn.nn.fit_data import fit_data, part_of
from kpnn.nn.history import History
from kpnn.nn.inputs import as_rows
from kpnn.nn.layer import sparse_dag
from kpnn.nn.lockstep import Lockstep, NetworkFit, in_lockstep
from kpnn.nn.settings import TrainingSettings
from kpnn.processes import usable_cores
from kpnn.stopping import StoppedError, asked_to_stop


def fit_kpnn(
    model: keras.Model,
    X: Any,
    y: Any,
    *,
    validation_data: tuple[Any, Any] | None = None,
    max_epochs: int = 200,
    patience: int | None = 10,
    min_delta: float = 0.0,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    optimizer: str = "adam",
    class_weight: str | Mapping[int, float] | Mapping[str, float] | None = None,
    seed: int = 42,
    min_epochs: int = 0,
    learning_rate_schedule: str = "constant",
    epoch_cells: int | None = None,
    callback: Callable[[int, float], bool | None] | None = None,
) -> History:
    """Trains a network on one core and leaves it with the weights of its best epoch.

    The loss is the cross-entropy of each output's logit with its label, averaged over outputs and cells (of a softmax:
    the cross-entropy over the classes, averaged over cells), plus the model's penalty. The best epoch has the lowest
    cross-entropy of the validation cells; without any it is the last.

    Args:
        model: a model that `build_kpnn` made; its weights are where training starts.
        X: training cells x `dag.inputs` in that order, dense or CSR; or an AnnData or DataFrame, matched by gene name.
        y: labels from 0 to 1, shape (n_cells,) or (n_cells, n_outputs), in the order of `dag.outputs`, or a DataFrame
            with a column for each output.
        validation_data: X and y of the cells that early stopping watches.
        max_epochs: most epochs.
        patience: epochs without improvement of the validation loss after which training stops; None never stops early.
        min_delta: how much lower a validation loss must be to count as an improvement.
        batch_size: cells per step.
        learning_rate: step size.
        optimizer: `adam` or `sgd`.
        class_weight: None, `balanced`, or a mapping of the labels 0 and 1 to weights (of a softmax: of outputs' names;
            those that are not named weigh 1).
        seed: order of the cells and dropout; the same seed gives the same weights bit for bit on one machine. No other
            random state is read or changed.
        min_epochs: epochs before which patience does not begin to count.
        learning_rate_schedule: `constant`, or `plateau`: half the rate after every `patience // 2` epochs (at least
            one) without improvement of the validation loss.
        epoch_cells: cells after which an epoch ends, and most validation cells that it looks at; None: all of them.
        callback: called with the epoch (from 1) and its validation loss; training stops where it returns False.

    Returns:
        The learning curve.

    Raises:
        ModelError: cells or labels do not fit the model, or the loss is not finite.
        SettingsError: an argument makes no sense.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn, predict
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]), initializer="conducting")
        >>> cells = pd.DataFrame({"CD69": [0.0, 0.2, 2.5, 3.0]})
        >>> history = fit_kpnn(model, cells, [0, 0, 1, 1], max_epochs=300, learning_rate=0.1)
        >>> history.n_epochs
        300
        >>> (predict(model, cells)["TCR"] > 0.5).tolist()
        [False, False, True, True]
    """
    settings = TrainingSettings(
        max_epochs=max_epochs,
        patience=patience,
        min_delta=min_delta,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        class_weight=class_weight,
        seed=seed,
        min_epochs=min_epochs,
        learning_rate_schedule=learning_rate_schedule,
        epoch_cells=epoch_cells,
    )
    training = fit_data(model, X, y, "training")
    validation = None if validation_data is None else fit_data(model, *validation_data, "validation")
    fit = NetworkFit(model, settings, training, validation, 0)
    return _run([fit], None if callback is None else lambda _, epoch, loss: callback(epoch, loss), 1)[0]


def fit_kpnns(
    models: Sequence[keras.Model],
    X: Any,
    y: Any,
    *,
    training_rows: Sequence[np.ndarray],
    validation_rows: Sequence[np.ndarray] | None = None,
    settings: TrainingSettings | Sequence[TrainingSettings] | None = None,
    callback: Callable[[int, int, float], bool | None] | None = None,
    not_finite: str = "error",
    n_threads: int | None = None,
) -> list[History]:
    """Trains several networks with the same inputs in one program: the trials and folds of a search.

    They may differ in their edges and neurons, dropout, penalty, normalization, start, settings and cells. Each ends
    with the same weights, bit for bit, as `fit_kpnn` with the same cells would give it; those that learn from the same
    cells with the same seed and minibatches share the reading of them. With a callback all make an epoch before any
    makes the next, and one that stops leaves.

    Args:
        models: models whose DAGs have the same inputs and outputs, in the same order.
        X: all cells, as for `fit_kpnn`, held once for all models; or a `kpnn.cells.CellStore`, whose cells are read in
            every epoch where they are on disk (two buffers for each thread).
        y: labels of all cells, as for `fit_kpnn`.
        training_rows: for each model, which rows of X train it, integers.
        validation_rows: likewise, which rows early stopping watches; None where there are none.
        settings: of each model, or one for all.
        callback: called with a model's position, the epoch (from 1) and its validation loss, after every epoch in the
            order of the models, from the calling thread; that model stops where it returns False.
        not_finite: what to do where a loss is not finite: `error` stops all models; `stop` stops that one, with the
            best weights it had and `not_finite` in its history, and lets the others go on.
        n_threads: most cores to use; by default all that this process may use.

    Returns:
        The learning curve of each model.

    Raises:
        ModelError: the models' inputs or outputs differ, cells or labels do not fit, or a loss is not finite.
        SettingsError: lists differ in length, or an argument makes no sense.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from kpnn.nn import TrainingSettings, build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> dag = Dag.from_edges(edges, outputs=["TCR"])
        >>> cells = pd.DataFrame({"CD69": [0.0, 0.2, 2.5, 3.0]})
        >>> models, folds = [build_kpnn(dag, seed=seed) for seed in (1, 2)], [np.array([0, 2]), np.array([1, 3])]
        >>> settings = TrainingSettings(max_epochs=3)
        >>> histories = fit_kpnns(
        ...     models, cells, [0, 0, 1, 1], training_rows=folds, validation_rows=folds[::-1], settings=settings
        ... )
        >>> [history.n_epochs for history in histories]
        [3, 3]
    """
    if not_finite not in ("error", "stop"):
        raise SettingsError(f"not_finite must be 'error' or 'stop', not {not_finite!r}")
    if not models:
        return []
    each = [settings] * len(models) if isinstance(settings, TrainingSettings) else settings
    each = [TrainingSettings()] * len(models) if each is None else list(each)
    watched = [None] * len(models) if validation_rows is None else list(validation_rows)
    for name, values in (("settings", each), ("training_rows", training_rows), ("validation_rows", watched)):
        if len(values) != len(models):
            raise SettingsError(f"{len(values)} {name} for {len(models)} models; give one for each model")
    dags, dtypes = [sparse_dag(model).dag for model in models], {sparse_dag(model).variable_dtype for model in models}
    if any((dag.inputs, dag.outputs) != (dags[0].inputs, dags[0].outputs) for dag in dags):
        raise ModelError("models trained together must have the same inputs and outputs, in the same order")
    if len(dtypes) > 1 or len({id(model) for model in models}) < len(models):
        raise ModelError("models trained together must be different models of one dtype")
    cells = fit_data(models[0], X, y, "given")
    fits = []
    for place, model in enumerate(models):
        training = part_of(cells, training_rows[place], f"training_rows[{place}]")
        rows = watched[place]
        validation = None if rows is None else part_of(cells, rows, f"validation_rows[{place}]")
        fits.append(NetworkFit(model, each[place], training, validation, place, not_finite == "error"))
    return _run(fits, callback, n_threads or usable_cores())


def adapt_normalization(model: keras.Model, X: Any) -> None:
    """Gives a model what its first `fit_kpnn` would read off the training cells: their mean and variance where its
    normalization wants them, and their number, which `weight_prior` counts against.

    Only needed where Keras's own `fit` trains the model. What the model has already stays.

    Args:
        model: a model that `build_kpnn` made.
        X: the training cells, as for `fit_kpnn`.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.nn import build_kpnn
        >>> from kpnn.pkn import Dag
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> model = build_kpnn(Dag.from_edges(edges, outputs=["TCR"]), input_normalization="standard")
        >>> adapt_normalization(model, pd.DataFrame({"CD69": [0.0, 4.0]}))
        >>> mean, scale = model.get_layer("input_normalization").shift_and_scale()
        >>> mean.tolist(), scale.tolist()
        ([2.0], [0.5])
    """
    rows, names, _ = as_rows(model, X)
    compiled = CompiledModel.of(model)
    compiled.adapt(rows, np.arange(len(names)))
    compiled.layer.n_training_cells = compiled.layer.n_training_cells or len(names)


def _run(
    fits: list[NetworkFit], callback: Callable[[int, int, float], bool | None] | None, n_threads: int
) -> list[History]:
    wait_until_compiled()
    steps = in_lockstep(fits, n_threads)
    n_threads = min(n_threads, len(steps))
    with telling(lambda: _how_far(fits)):
        _train(fits, steps, callback, n_threads)
    return [fit.history() for fit in fits]


def _how_far(fits: Sequence[NetworkFit]) -> str:
    """How many networks are still trained, and how many epochs these have made."""
    epochs = [len(fit.losses) for fit in fits if not fit.stopped_by]
    if not epochs:
        return ""
    least, most = min(epochs), max(epochs)
    made = f"{least} to {most} epochs" if least < most else f"{most} epoch{'s' * (most != 1)}"
    return f"{len(epochs)} of {len(fits)} networks still train{'s' * (len(epochs) == 1)}, {made} so far"


def _train(
    fits: Sequence[NetworkFit],
    steps: Sequence[Lockstep],
    callback: Callable[[int, int, float], bool | None] | None,
    n_threads: int,
) -> None:
    # Where one thread would do it all, this one does: Python waits for ever for a thread that lacks memory to begin.
    with nullcontext() if n_threads <= 1 else ThreadPoolExecutor(n_threads) as threads:
        for_each = map if threads is None else threads.map
        if callback is None:
            # Nobody watches from outside: a thread that ends with its networks takes the next, and no core waits.
            failed, asked = Event(), asked_to_stop()
            try:
                list(for_each(lambda lockstep: lockstep.to_the_end(failed, asked), steps))
            except BaseException:  # Ctrl-C among them: within an epoch all networks stop
                failed.set()
                raise
            if asked.is_set():
                raise StoppedError
        while any(lockstep.going for lockstep in steps):
            start = time.perf_counter()
            list(for_each(Lockstep.epoch, [lockstep for lockstep in steps if lockstep.going]))
            seconds = time.perf_counter() - start
            for fit in fits:
                if not fit.stopped_by:
                    fit.judge(callback, seconds)
