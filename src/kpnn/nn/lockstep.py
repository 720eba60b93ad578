"""Networks in training: each on its own, and several that read the same cells side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

import keras
import numpy as np

from kpnn.errors import ModelError, SettingsError, some_names
from kpnn.nn.compiled_model import CompiledModel
from kpnn.nn.engine.kernels import (
    BY_BATCH,
    LINEAR,
    NETWORKS_AT_ONCE,
    SIGMOID,
    LabelledRows,
    loss_of,
    train_epoch,
)
from kpnn.nn.engine.state import together
from kpnn.nn.fit_data import FitData
from kpnn.nn.history import History
from kpnn.nn.labels import class_weights
from kpnn.nn.settings import TrainingSettings


@dataclass(eq=False)
class NetworkFit:
    """One network in training."""

    model: keras.Model
    settings: TrainingSettings
    training: FitData
    validation: FitData | None
    place: int
    raising: bool = True
    losses: list[float] = field(default_factory=list)
    penalties: list[float] = field(default_factory=list)
    val_losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped_by: str = ""

    def __post_init__(self) -> None:
        settings = self.settings
        self.compiled = CompiledModel.of(
            self.model,
            batch_size=min(settings.batch_size, self.training.n_cells),
            learning_rate=settings.learning_rate,
            optimizer=settings.optimizer,
            training=True,
            n_training_cells=self.training.n_cells,
        )
        layer = self.compiled.layer
        codes = layer.activation_codes[layer.layout.outputs]
        other = [name for name, code in zip(layer.dag.outputs, codes, strict=True) if code not in (LINEAR, SIGMOID)]
        if other:
            raise ModelError(
                f"output {some_names(other)} must be sigmoid (or linear: a logit; or all softmax) to be trained"
            )
        if self.validation is None and settings.learning_rate_schedule != "constant":
            raise SettingsError("learning_rate_schedule 'plateau' watches validation cells: give some")
        self.training.adapt(self.compiled)
        self.validation = _watched(self.validation, settings)
        classes = layer.dag.outputs if layer.one_of_k else None
        weights = class_weights(settings.class_weight, self.training.labels, classes)
        self.training = self.training.weighted(weights)
        self.best = self.compiled.snapshot()
        self.best_loss = float("inf")
        self.rate_since = 0  # the epoch after which the learning rate was last changed

    @property
    def reads(self) -> tuple[object, ...] | None:
        """What must be equal for networks to be computed side by side, or None where this one must be alone."""
        rule, drops, seen = self.compiled.network.rule, self.compiled.network.drops, self.compiled.network.state.means
        if rule.normalization == BY_BATCH or (drops.of_genes and not drops.on_edges):
            return None  # it makes of its genes what no other does
        watched = None if self.validation is None else self.validation.identity
        settings = self.settings
        how = (settings.seed, rule.batch_size, settings.epoch_cells, repr(settings.class_weight), seen.tobytes())
        return (self.training.identity, watched, *how)

    def take(self, loss: float, penalty: float, val_loss: float) -> None:
        """Notes what an epoch brought."""
        self.losses.append(loss)
        self.penalties.append(penalty)
        self.val_losses.append(val_loss)

    def judge(self, callback: Callable[[int, int, float], bool | None] | None, seconds: float) -> None:
        """Keeps the best weights and decides whether to go on; runs on the calling thread where there is a callback."""
        number, loss, val_loss = len(self.losses), self.losses[-1], self.val_losses[-1]
        self.seconds.append(seconds)
        if not np.isfinite(loss) or (self.validation is not None and not np.isfinite(val_loss)):
            if self.raising:
                raise ModelError(self._not_finite(number, loss, val_loss))
            self.stopped_by = "not_finite"
            return
        watched = float("-inf") if self.validation is None else val_loss
        if self.validation is None or watched < self.best_loss - self.settings.min_delta:
            self.best_loss, self.best_epoch, self.best = watched, number, self.compiled.snapshot()
        patience, waited = self.settings.patience, number - max(self.best_epoch, self.settings.min_epochs)
        if callback is not None and callback(self.place, number, val_loss) is False:
            self.stopped_by = "callback"
        elif self.validation is not None and patience is not None and waited >= patience:
            self.stopped_by = "patience"
        elif number >= self.settings.max_epochs:
            self.stopped_by = "max_epochs"
        self._adjust_learning_rate(number)

    def _adjust_learning_rate(self, number: int) -> None:
        """Halves the rate once the validation loss has not improved for long enough at the present one."""
        halve_after = self.settings.epochs_to_halving
        since = max(self.best_epoch, self.settings.min_epochs, self.rate_since)
        if halve_after is not None and number - since >= halve_after:
            self.compiled, self.rate_since = self.compiled.with_learning_rate_times(0.5), number

    def _not_finite(self, epoch: int, loss: float, val_loss: float) -> str:
        settings, state = self.settings, self.compiled.network.state
        which = f"loss is {loss}" if not np.isfinite(loss) else f"validation loss is {val_loss}"
        largest = self.training.largest()
        cause = f"the learning rate {settings.learning_rate:g} is too high"
        if largest > 1e3 and self.compiled.normalization is None:
            cause = f"expression reaches {largest:g} and is not normalized, or {cause}"
        if not np.isfinite(self.best[0]).all():
            cause = "the model's weights were not finite before training"
        grown = np.abs(state.kernel[np.isfinite(state.kernel)]).max(initial=0)
        return (
            f"epoch {epoch} of model {self.model.name!r} (number {self.place}): {which}; weights reach {grown:g}; "
            f"likely cause: {cause}. The model keeps the weights it had before this fit"
        )

    def history(self) -> History:
        """Writes the best weights into the model and returns the curve."""
        self.compiled.store(self.best, self.training.n_cells)
        return History(
            loss=np.array(self.losses),
            penalty=np.array(self.penalties),
            val_loss=np.array(self.val_losses),
            seconds=np.array(self.seconds),
            best_epoch=self.best_epoch,
            stopped_by=self.stopped_by,
        )


class Lockstep:
    """Networks that read the same cells in the same order and make every epoch together.

    What is read is made dense once for all of them; each computes as it would alone, bit for bit.

    Attributes:
        fits: the networks, at most `NETWORKS_AT_ONCE`, of equal `reads` where there are several.
    """

    def __init__(self, fits: Sequence[NetworkFit]) -> None:
        self.fits = list(fits)
        self._steps = 0
        for fit in self.fits[1:]:
            fit.compiled = fit.compiled.sharing_genes(self.fits[0].compiled)

    @property
    def going(self) -> list[NetworkFit]:
        """The networks that have not stopped."""
        return [fit for fit in self.fits if not fit.stopped_by]

    def epoch(self) -> None:
        """Goes over training cells and looks at the validation cells; runs on any thread."""
        going = self.going
        training, validation, seed = going[0].training, going[0].validation, going[0].settings.seed
        networks, finite = together([fit.compiled.network for fit in going])
        # Seeded by the epoch, not drawn on from the one before: no other fit and no thread can change the order.
        generator = np.random.default_rng([seed, 1, len(going[0].losses) + 1])
        sums, losses, val_losses = np.zeros((len(networks), 2)), np.zeros(len(networks)), np.zeros(len(networks))
        n_cells = min(training.n_cells, going[0].settings.epoch_cells or training.n_cells)
        for block in training.blocks(generator, n_cells):
            base = np.uint64(generator.integers(0, 2**64, dtype=np.uint64))
            self._steps = train_epoch(networks, finite, block, base, self._steps, sums)
            losses += sums[:, 0] * _share(block, n_cells)
        for fit in going:
            fit.compiled.use_moving_moments()
        finite &= np.isfinite(losses)
        if validation is not None and finite.any():
            predictors, each = together([fit.compiled.predictor for fit in going])[0], np.zeros(len(networks))
            for block in validation.blocks():
                loss_of(predictors, finite, block, each)
                val_losses += each * _share(block, validation.n_cells)
        for place, fit in enumerate(going):
            seen = validation is not None and finite[place]
            val_loss = float(val_losses[place]) if seen else float("nan")
            fit.take(float(losses[place]), float(sums[place, 1]), val_loss)

    def to_the_end(self, failed: Event, asked: Event) -> None:
        """Makes one epoch after the other until all stop: these by themselves, or another failed, or they are asked."""
        try:
            while (going := self.going) and not (failed.is_set() or asked.is_set()):
                start = time.perf_counter()
                self.epoch()
                seconds = (time.perf_counter() - start) / len(going)
                for fit in going:
                    fit.judge(None, seconds)
        except BaseException:
            failed.set()
            raise


def in_lockstep(fits: Sequence[NetworkFit], n_threads: int) -> list[Lockstep]:
    """Puts networks together that can be computed side by side, but leaves every thread something to do.

    Args:
        fits: the networks.
        n_threads: threads that compute.

    Returns:
        Each network once, those whose first one came first at the front.
    """
    alike: dict[object, list[NetworkFit]] = {}
    for fit in fits:
        alike.setdefault(fit.reads or fit.place, []).append(fit)
    parts = []
    for each in alike.values():
        n_parts = -(-len(each) // NETWORKS_AT_ONCE)
        parts += [each[part::n_parts] for part in range(n_parts)]
    while len(parts) < min(n_threads, len(fits)):
        largest = max(parts, key=len)
        parts.remove(largest)
        parts += [largest[::2], largest[1::2]]
    return [Lockstep(part) for part in sorted(parts, key=lambda part: part[0].place)]


def _watched(validation: FitData | None, settings: TrainingSettings) -> FitData | None:
    """The validation cells that every epoch looks at: all, or as many of them as an epoch trains on."""
    most = settings.epoch_cells
    if validation is None or most is None or validation.n_cells <= most:
        return validation
    drawn = np.random.default_rng([settings.seed, 2]).choice(validation.n_cells, most, replace=False)
    return validation.part(np.sort(drawn))


def _share(block: LabelledRows, n_cells: int) -> float:
    """Of some cells, the share that a block holds; exactly 1 where it holds all, so that no bit of a loss changes."""
    return len(block.which) / n_cells
