"""Input normalization: a Keras layer, and its statistics from sparse cells without making them dense."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from kpnn.errors import SettingsError
from kpnn.nn.engine.kernels import (
    BY_BATCH,
    BY_STORED_MOMENTS,
    NOT_NORMALIZED,
    Rows,
    add_moments,
    add_squared_deviations,
)

KINDS = ("standard", "common", "batch")
EPSILON = 1e-3
"""Added to a variance, as Keras does."""
MOMENTUM = 0.99
"""Keras's, of the moving averages."""


@keras.saving.register_keras_serializable(package="kpnn")
class InputNormalization(keras.layers.Layer):
    """Shifts and scales every gene; nothing here is trained by gradient.

    `standard` gives every gene mean 0 and variance 1 by mean and variance of the training cells: computed once, at the
    model's first fit, and stored in the model. A gene that does not vary is only shifted.

    `common` gives every gene mean 0 too, but divides all genes by one number, the root of their mean variance: what
    varies more counts for more. A gene seen in one of a thousand cells has a standard deviation near 0, and `standard`
    makes that one cell's value some thirty.

    `batch` uses those of each minibatch in training and their moving
    averages (momentum 0.99, added to the variance: 0.001) otherwise, as Keras's BatchNormalization without centre and
    scale does. Until the first fit all leave their input as it is (but for batch's 0.001).

    Args:
        kind: `standard`, `common` or `batch`.
        **kwargs: `name`, `dtype` and other arguments of a Keras layer.

    Attributes:
        mean: mean of each gene, shape (n_inputs,).
        variance: variance of each gene (divisor: number of cells), shape (n_inputs,).
        n_cells: cells that mean and variance come from; 0 before the first fit. Scalar, int32.
        scale: what all genes are divided by; of `common` alone. Scalar.

    Examples:
        >>> import numpy as np
        >>> from keras import ops
        >>> normalization = InputNormalization("standard")
        >>> normalization.build((None, 2))
        >>> normalization.set_moments(mean=np.array([1.0, 2.0]), variance=np.array([4.0, 0.0]), n_cells=10)
        >>> ops.convert_to_numpy(normalization(np.array([[5.0, 3.0]]))).tolist()  # the second gene does not vary
        [[2.0, 1.0]]
    """

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if kind not in KINDS:
            raise SettingsError(f"input_normalization must be None or one of {', '.join(KINDS)}, not {kind!r}")
        self.kind = kind

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the variables."""
        shape = (input_shape[-1],)
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")
        self.variance = self.add_weight(shape=shape, initializer="ones", trainable=False, name="variance")
        self.n_cells = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False, name="n_cells")
        if self.kind == "common":
            self.scale = self.add_weight(shape=(), initializer="ones", trainable=False, name="scale")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Normalizes cells x input nodes, dense."""
        if self.kind == "batch" and training:
            mean, variance = ops.moments(inputs, axes=[0])
            self.mean.assign(self.mean * MOMENTUM + mean * (1 - MOMENTUM))
            self.variance.assign(self.variance * MOMENTUM + variance * (1 - MOMENTUM))
        else:
            mean, variance = ops.convert_to_tensor(self.mean), ops.convert_to_tensor(self.variance)
        if self.kind == "batch":
            return (inputs - mean) / ops.sqrt(variance + EPSILON)
        if self.kind == "common":
            return (inputs - mean) / ops.convert_to_tensor(self.scale)
        return (inputs - mean) / ops.sqrt(ops.where(variance > 0, variance, ops.ones_like(variance)))

    def get_config(self) -> dict[str, Any]:
        """Everything that `from_config` needs, as JSON."""
        return {**super().get_config(), "kind": self.kind}

    def shift_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean, and one over the standard deviation, of each gene, as used outside of training; float64."""
        mean = np.asarray(ops.convert_to_numpy(self.mean), dtype=np.float64)
        variance = np.asarray(ops.convert_to_numpy(self.variance), dtype=np.float64)
        if self.kind == "batch":
            return mean, 1.0 / np.sqrt(variance + EPSILON)
        if self.kind == "common":
            return mean, np.full(len(mean), 1.0 / float(ops.convert_to_numpy(self.scale)))
        return mean, 1.0 / np.sqrt(np.where(variance > 0, variance, 1.0))

    def wants_moments(self) -> bool:
        """Whether it has yet to be given mean and variance of the training cells."""
        return self.kind != "batch" and int(ops.convert_to_numpy(self.n_cells)) == 0

    def set_moments(self, mean: np.ndarray, variance: np.ndarray, n_cells: int) -> None:
        """Stores mean and variance of each gene, and how many cells they come from.

        Args:
            mean: shape (n_genes,).
            variance: likewise.
            n_cells: number of training cells.
        """
        self.mean.assign(mean.astype(self.variable_dtype))
        self.variance.assign(variance.astype(self.variable_dtype))
        self.n_cells.assign(n_cells)
        if self.kind == "common":
            self.scale.assign(float(np.sqrt(variance.mean())) or 1.0)


def moments(rows: Rows, which: np.ndarray, n_genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each gene over some cells, in two passes over the stored values alone.

    Args:
        rows: cells x genes.
        which: which cells, int64.
        n_genes: number of genes.

    Returns:
        Mean and variance (divisor: number of cells), each shape (n_genes,), float64.
    """
    sums, squares = np.zeros(n_genes), np.zeros(n_genes)
    add_moments(rows, which, 0, len(which), sums, squares)
    means = sums / len(which)
    deviations, stored = np.zeros(n_genes), np.zeros(n_genes)
    add_squared_deviations(rows, which, means, deviations, stored)
    variances = (deviations + (len(which) - stored) * means**2) / len(which)
    # A gene with one value in all cells has variance 0, whatever rounding leaves of it.
    variances[variances <= 1e-12 * means**2] = 0.0
    return means, variances


def input_normalization(model: keras.Model) -> InputNormalization | None:
    """The model's normalization layer, if it has one."""
    return next((layer for layer in model.layers if isinstance(layer, InputNormalization)), None)


def kernel_code(normalization: InputNormalization | None) -> int:
    """How the compiled kernels call a kind of normalization."""
    if normalization is None:
        return NOT_NORMALIZED
    return BY_BATCH if normalization.kind == "batch" else BY_STORED_MOMENTS
