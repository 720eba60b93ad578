"""Tools for AnnData in scverse's manner: `kpnn.tl.fit`, `predict`, `activations`, `node_weights`.

For one model in a notebook; a study with held-out scores, controls and a report is the project's (`kpnn init`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from kpnn.cells.classes import are_blank, as_texts
from kpnn.errors import CellsError, near_names, some_names
from kpnn.interpretation import node_weights as weigh
from kpnn.interpretation.weights import Method
from kpnn.sklearn import KPNNClassifier
from kpnn.tables import largest_first
from kpnn.training.orientation import mean_activations

if TYPE_CHECKING:
    from anndata import AnnData

_log = logging.getLogger(__name__)


def fit(
    adata: AnnData,
    network: pd.DataFrame,
    *,
    label: str,
    group: str | None = None,
    classes: Sequence[str] | None = None,
    positive: str | None = None,
    layer: str | None = None,
    **options: Any,
) -> KPNNClassifier:
    """Trains a KPNN on the labelled cells.

    Args:
        adata: cells x genes, normalized and on a log scale; genes by `var_names`.
        network: edges with columns `parent`, `child`, as for `kpnn.sklearn.KPNNClassifier`.
        label: column of `obs` with the cells' classes; blank, NaN and `NA` are unlabelled, as in a study.
        group: column of `obs` (donor, sample) whose cells stay together when networks are stopped.
        classes: which classes count; by default all.
        positive: this class against all others.
        layer: of `adata`, in the place of `X`.
        **options: further arguments of `KPNNClassifier`.

    Returns:
        The fitted classifier; `adata` stays as it is.

    Raises:
        CellsError: there is no such column or class, or no such layer.
        ValueError: the network, the classes or the values cannot be used.

    Examples:
        >>> from kpnn.simulation import simulate
        >>> drawn = simulate("single", n_cells=120, seed=1)
        >>> adata = drawn.to_anndata()
        >>> adata.obs["condition"] = drawn.labels.set_index("barcode").iloc[:, 0].map({0: "ctrl", 1: "stim"})
        >>> adata.X = np.log1p(adata.X)
        >>> classifier = fit(adata, drawn.edges, label="condition", ensemble=2, max_epochs=5, recipes=False)
        >>> [str(name) for name in classifier.classes_]
        ['ctrl', 'stim']
    """
    values = as_texts(_column(adata, label))
    wanted = ~are_blank(values) | values.isin([str(name) for name in (*(classes or ()), positive)])
    if group is not None:
        _require_groups(_column(adata, group), label, group)
    if classes is not None:
        _require_among(classes, values, f"classes of obs[{label!r}]")
        wanted &= values.isin([str(name) for name in classes])
    if positive is not None:
        positive = str(positive)
        _require_among([positive], values[wanted], f"classes of obs[{label!r}]")
        # Of two classes the later one is predicted; a blank sorts before all else, and is not shown.
        values = values.where(values == positive, f" not {positive}")
    rows = np.flatnonzero(wanted.to_numpy())
    matrix = _expression(adata, layer)
    _warn_of_counts(matrix)
    groups = None if group is None else _column(adata, group).astype(str).to_numpy()[rows]
    classifier = KPNNClassifier(network, genes=[str(name) for name in adata.var_names], **options)
    return classifier.fit(matrix[rows], values.iloc[rows].to_numpy(dtype=str), groups)


def predict(
    adata: AnnData,
    classifier: KPNNClassifier,
    *,
    layer: str | None = None,
    missing_genes: str = "error",
    key_added: str = "kpnn",
) -> None:
    """Writes each cell's class and probabilities into `obs`.

    Probabilities of cells that the classifier was fitted on are too good: judge it by other cells.

    Args:
        adata: cells x genes, transformed as those of `fit`; genes are matched by name, in any order.
        classifier: a fitted one.
        layer: of `adata`, in the place of `X`.
        missing_genes: `error`, or `zeros` to take genes that `adata` lacks as not expressed.
        key_added: `obs[key_added]` gets the class, `obs[f"{key_added}_{class}"]` its probability (of two classes: of
            the later one alone); `|` stands for a slash in a class, which HDF5 takes for a folder.

    Raises:
        CellsError: there is no such layer.
        ModelError: genes are missing, or a value is not finite.
        NotFittedError: the classifier is not fitted.

    Examples:
        With the cells and the classifier of `fit`:

        >>> predict(adata, classifier)
        >>> adata.obs["kpnn"].cat.categories.tolist()
        ['ctrl', 'stim']
        >>> bool(adata.obs["kpnn_stim"].between(0, 1).all())
        True
    """
    from kpnn.nn import predict as probabilities_of

    check_is_fitted(classifier, "model_")
    found = probabilities_of(classifier.model_, _as_read(adata, layer), missing_genes=missing_genes).to_numpy()
    names = [str(name).strip() for name in classifier.classes_]
    if found.shape[1] == 1:
        found = np.column_stack([1.0 - found[:, 0], found[:, 0]])
    for place in range(1 if len(names) == 2 else 0, len(names)):
        adata.obs[f"{key_added}_{names[place].replace('/', '|')}"] = found[:, place]
    adata.obs[key_added] = pd.Categorical.from_codes(found.argmax(axis=1), names)


def activations(
    adata: AnnData,
    classifier: KPNNClassifier,
    *,
    layer: str | None = None,
    missing_genes: str = "error",
    key_added: str = "kpnn",
) -> None:
    """Writes the neurons' activations into `obsm`, for neighbours, UMAP and plots.

    Each neuron is the way round that speaks for the class, averaged over the classifier's networks.

    Args:
        adata: as for `predict`.
        classifier: a fitted one.
        layer: of `adata`, in the place of `X`.
        missing_genes: as for `predict`.
        key_added: `obsm[f"X_{key_added}"]` gets cells x neurons, `uns[key_added]["nodes"]` their names.

    Raises:
        CellsError: there is no such layer.
        ModelError: as `predict`.

    Examples:
        With the cells and the classifier of `fit`:

        >>> activations(adata, classifier)
        >>> adata.obsm["X_kpnn"].shape == (adata.n_obs, len(adata.uns["kpnn"]["nodes"]))
        True
    """
    from kpnn.nn import members_of

    check_is_fitted(classifier, "model_")
    members, cells = members_of(classifier.model_), _as_read(adata, layer)
    mean = mean_activations(members, cells, classifier.signs_, missing_genes=missing_genes)
    adata.obsm[f"X_{key_added}"] = mean.to_numpy()
    adata.uns[key_added] = {**adata.uns.get(key_added, {}), "nodes": list(mean.columns)}


def node_weights(
    adata: AnnData, classifier: KPNNClassifier, *, layer: str | None = None, method: Method = "gradient"
) -> pd.DataFrame:
    """Weighs the hidden nodes, heaviest first; see `kpnn.interpretation.node_weights`.

    Args:
        adata: cells that the classifier was not fitted on, as for `predict`.
        classifier: a fitted one.
        layer: of `adata`, in the place of `X`.
        method: `gradient`, `difference` or `conductance`.

    Returns:
        `node`, `output`, `weight`.

    Raises:
        CellsError: there is no such layer.
        ModelError: as `predict`.
        SettingsError: there is no such method.

    Examples:
        With the cells and the classifier of `fit`:

        >>> weights = node_weights(adata, classifier)
        >>> list(weights.columns)
        ['node', 'output', 'weight']
    """
    check_is_fitted(classifier, "model_")
    weights = weigh(classifier.model_, _as_read(adata, layer), method=method)
    return largest_first(weights).reset_index(drop=True)


def _require_groups(groups: pd.Series, label: str, group: str) -> None:
    if group == label:
        raise CellsError(f"group={group!r} is the column of the classes; name that of donors or samples, or none")
    if groups.nunique() < 2:
        raise CellsError(f"all cells are of one {group}, so that none can be kept apart by it; leave `group` out")


def _column(adata: AnnData, name: str) -> pd.Series:
    if name not in adata.obs:
        raise CellsError(f"obs has no column {name!r}; {near_names(name, list(adata.obs))}")
    return adata.obs[name]


def _require_among(names: Sequence[str], values: pd.Series, of_what: str) -> None:
    known = sorted(values.dropna().unique())
    strange = [str(name) for name in names if str(name) not in known]
    if strange:
        raise CellsError(f"{some_names(strange)} is not among the {of_what}; {near_names(strange[0], known)}")


def _expression(adata: AnnData, layer: str | None) -> Any:
    if layer is None:
        return adata.X
    if layer not in adata.layers:
        raise CellsError(f"adata has no layer {layer!r}; {near_names(layer, list(adata.layers))}")
    return adata.layers[layer]


def _as_read(adata: AnnData, layer: str | None) -> AnnData:
    """The same cells with a layer as their expression."""
    if layer is None:
        return adata
    from anndata import AnnData

    return AnnData(_expression(adata, layer), adata.obs[[]], adata.var[[]])


def _warn_of_counts(matrix: Any) -> None:
    values = matrix.data if issparse(matrix) else np.asarray(matrix).ravel()
    some = values[:10_000]
    if len(some) and (some == np.round(some)).all() and some.max() > 1:
        _log.warning("the values look like counts; networks expect scanpy.pp.normalize_total and scanpy.pp.log1p first")


__all__ = ["activations", "fit", "node_weights", "predict"]
