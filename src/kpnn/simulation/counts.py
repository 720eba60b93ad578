"""Counts like those of real cells: negative binomial, with library sizes and dropout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from kpnn.errors import SettingsError

_CELLS_AT_ONCE = 256
"""Cells drawn at once; bounds the memory, and other numbers are drawn with another one."""


@dataclass(frozen=True)
class CountModel:
    """How counts are drawn.

    A gene's mean count over genes is log-normal, a cell's library size factor over cells too; given its mean
    a count is negative binomial with variance mean + dispersion * mean^2, and is lost (dropout) with a
    probability that falls with the mean.

    Attributes:
        log_mean: mean over genes of the natural logarithm of the mean count.
        log_mean_sd: its standard deviation over genes.
        library_size_sd: standard deviation over cells of the natural logarithm of the library size factor.
        dispersion: of the negative binomial, > 0.
        dropout_midpoint: mean count at which half of the counts are lost; 0: no dropout.
        module_sd: standard deviation over cells of a hidden node's own activity (natural logarithm), which its
            genes share and which says nothing about the class.
        response_sd: standard deviation over cells of how strongly a cell of class 1 responds (its mean is 1).
    """

    log_mean: float = 0.3
    log_mean_sd: float = 1.0
    library_size_sd: float = 0.3
    dispersion: float = 0.3
    dropout_midpoint: float = 0.15
    module_sd: float = 0.25
    response_sd: float = 0.25

    def __post_init__(self) -> None:
        if self.dispersion <= 0:
            raise SettingsError(f"dispersion must be above 0, found {self.dispersion}")
        for name in ("log_mean_sd", "library_size_sd", "dropout_midpoint", "module_sd", "response_sd"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must not be negative, found {getattr(self, name)}")


def draw_counts(
    rng: np.random.Generator,
    classes: np.ndarray,
    log_fold_changes: np.ndarray,
    modules: np.ndarray,
    model: CountModel,
) -> sp.csr_matrix:
    """Draws counts for cells of two classes.

    Args:
        rng: the source of randomness.
        classes: 0 or 1, shape (cells,).
        log_fold_changes: natural logarithm of the fold change of class 1 over class 0, shape (genes,).
        modules: number of the hidden node whose own activity the gene follows, or -1, shape (genes,).
        model: how counts are drawn.

    Returns:
        Counts, cells x genes, int32 CSR.
    """
    n_genes = len(log_fold_changes)
    base = rng.normal(model.log_mean, model.log_mean_sd, n_genes).astype(np.float32)
    # A gene that carries signal is seen often enough to carry it.
    base = np.where(log_fold_changes != 0, np.maximum(base, np.float32(model.log_mean)), base)
    n_modules = int(modules.max(initial=-1)) + 1
    parts = []
    for start in range(0, len(classes), _CELLS_AT_ONCE):
        response = classes[start : start + _CELLS_AT_ONCE] * rng.normal(
            1.0, model.response_sd, len(classes[start:][:_CELLS_AT_ONCE])
        )
        library = rng.normal(0.0, model.library_size_sd, len(response))
        activity = np.zeros((len(response), n_modules + 1), dtype=np.float32)
        activity[:, :n_modules] = rng.normal(0.0, model.module_sd, (len(response), n_modules))
        log_mean = base + np.outer(response, log_fold_changes) + library[:, None] + activity[:, modules]
        mean = np.exp(log_mean)
        counts = rng.poisson(mean * rng.gamma(1 / model.dispersion, model.dispersion, mean.shape))
        if model.dropout_midpoint > 0:
            counts[rng.random(mean.shape) < model.dropout_midpoint / (model.dropout_midpoint + mean)] = 0
        parts.append(sp.csr_matrix(counts.astype(np.int32)))
    return sp.vstack(parts, format="csr")


def draw_barcodes(rng: np.random.Generator, n: int) -> list[str]:
    """Distinct barcodes of 16 bases with the well's number, as 10x writes them, in random order."""
    taken = rng.choice(2**31, size=n, replace=False) if n < 10_000 else np.unique(rng.integers(0, 2**32, 2 * n + 100))
    codes = rng.permutation(taken)[:n].astype(np.int64)
    bases = np.array(list("ACGT"))[(codes[:, None] >> np.arange(0, 32, 2)) & 3]
    wells = np.where(np.arange(n) % 2 == 0, "-1", "-2")
    return [text + well for text, well in zip(bases.view(f"U{bases.shape[1]}").ravel(), wells, strict=True)]
