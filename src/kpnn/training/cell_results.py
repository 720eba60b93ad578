"""Results cell by cell as an AnnData, and from there into the user's own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from kpnn.errors import CellsError, some_names
from kpnn.training.orientation import mean_activations, signs_of_network

if TYPE_CHECKING:
    import keras
    from anndata import AnnData

_log = logging.getLogger(__name__)

OUT_OF_FOLD, IN_TRAINING, NEW = "out of fold", "in training", "new"
"""Whether the networks that predicted a cell have seen it: no, it was held out; yes; no, it is not of the study."""

REPRESENTATION = "X_kpnn"
PREDICTED = "kpnn_prediction"
_OF_NODES = ("node", "output", "rank", "weight", "z", "q_value", "called")


@dataclass(frozen=True, eq=False)
class CellResults:
    """What the networks of an arm say about cells.

    Attributes:
        probabilities: cells x outputs; the index holds the barcodes.
        activations: cells x neurons, oriented: a higher activation speaks for the output.
        predicted: for each cell one of `OUT_OF_FOLD`, `IN_TRAINING`, `NEW`; index the barcodes.
        arm: name of the arm.
        node_weights: a row per node and output; `node`, `output`, `rank`, `weight`, `z`, `q_value` and `called`
            are kept where they exist.
        versions: of what made them.
    """

    probabilities: pd.DataFrame
    activations: pd.DataFrame
    predicted: pd.Series
    arm: str
    node_weights: pd.DataFrame = field(default_factory=pd.DataFrame)
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_anndata(self, obs: pd.DataFrame | None = None, *, one_of_k: bool = False) -> AnnData:
        """The results as scanpy works with them; expression is not part of it.

        Args:
            obs: further columns of the cells, index the barcodes.
            one_of_k: whether the outputs are classes that exclude each other.

        Returns:
            `obs["kpnn_<output>"]` the probabilities, `obs["kpnn_prediction"]` whether the networks have seen the cell,
            `obsm["X_kpnn"]` the activations, float32 (of hidden nodes; of outputs where there are none), and
            `uns["kpnn"]`: the arm, `nodes` (the columns of `X_kpnn`), `outputs` and their `columns` in `obs`, node
            weights, versions.
        """
        from anndata import AnnData

        outputs = list(self.probabilities.columns)
        columns = {output: column_of(output) for output in outputs}
        table = pd.DataFrame(index=self.probabilities.index.astype(str))
        if obs is not None:
            table = table.join(obs[[name for name in obs if name not in columns.values() and "/" not in str(name)]])
        for output, column in columns.items():
            table[column] = self.probabilities[output].to_numpy(dtype=np.float32)
        kinds = self.predicted.reindex(self.probabilities.index).to_numpy()
        table[PREDICTED] = pd.Categorical(kinds, categories=[OUT_OF_FOLD, IN_TRAINING, NEW])
        hidden = [name for name in self.activations.columns if name not in columns]
        nodes = hidden or list(self.activations.columns)
        values = self.activations[nodes].reindex(self.probabilities.index).to_numpy(dtype=np.float32)
        about = {
            "arm": self.arm,
            "one_of_k": one_of_k,
            "outputs": np.array(outputs, dtype=object),
            "columns": np.array(list(columns.values()), dtype=object),
            "nodes": np.array(nodes, dtype=object),
            "node_weights": _plain(self.node_weights),
            "versions": dict(self.versions),
        }
        return AnnData(obs=table, obsm={REPRESENTATION: values}, uns={"kpnn": about})


def column_of(output: str) -> str:
    """The column of `obs` that holds an output's probability; HDF5 takes a slash for a folder, so there is none."""
    return f"kpnn_{output.replace('/', '|')}"


def _plain(weights: pd.DataFrame) -> pd.DataFrame:
    """The columns that matter, of types that every AnnData can hold."""
    kept = weights[[name for name in _OF_NODES if name in weights]].reset_index(drop=True)
    texts = {name: kept[name].astype(str) for name in ("node", "output") if name in kept}
    if "called" in kept:
        texts["called"] = kept["called"].eq(True)
    plain = kept.assign(**texts)
    plain.index = plain.index.astype(str)
    return plain


def probabilities_by_cell(predictions: pd.DataFrame) -> pd.DataFrame:
    """Probabilities as cells x outputs, in the order of the table; of a cell that several repeats held out the mean.

    Args:
        predictions: `barcode`, `output`, `probability`.
    """
    outputs, barcodes = (list(dict.fromkeys(predictions[name])) for name in ("output", "barcode"))
    mean = predictions.groupby(["barcode", "output"], sort=False)["probability"].mean().unstack("output")
    return mean.reindex(index=barcodes, columns=outputs)


def out_of_fold_activations(folds: Sequence[tuple[Sequence[keras.Model], np.ndarray]], cells: AnnData) -> pd.DataFrame:
    """Each cell's node activations in the networks that did not see it, on one scale.

    Networks of different folds give a node different levels, and a map of the cells would show the folds. So a fold's
    activations are taken as standard deviations from that fold's mean over all cells, and given back the mean and the
    standard deviation that the folds have on average. Of several repeats the mean is taken.

    Args:
        folds: for each fold its networks and the positions of the cells that it held out.
        cells: all cells of the study, genes by name.

    Returns:
        Cells that some fold held out x neurons, oriented; the index holds the barcodes.
    """
    tables = [
        mean_activations(members, cells, [signs_of_network(member, cells) for member in members])
        for members, _ in folds
    ]
    means, spreads = (
        np.stack([measure(table.to_numpy(), axis=0) for table in tables]) for measure in (np.mean, np.std)
    )
    total, times = np.zeros((cells.n_obs, means.shape[1])), np.zeros(cells.n_obs)
    for (_, held_out), table, mean, spread in zip(folds, tables, means, spreads, strict=True):
        deviations = (table.to_numpy()[held_out] - mean) / np.where(spread > 0, spread, 1)
        total[held_out] += deviations * spreads.mean(axis=0) + means.mean(axis=0)
        times[held_out] += 1
    seen = times > 0
    index = pd.Index(cells.obs_names[seen].astype(str))
    return pd.DataFrame(total[seen] / times[seen, None], index=index, columns=tables[0].columns)


def join_results(adata: AnnData, results: AnnData) -> None:
    """Adds results to an AnnData of one's own, in place; cells are matched by name.

    Args:
        adata: any cells, in any order. Those without a result have NaN.
        results: as `CellResults.to_anndata` makes them and `cells_with_results.h5ad` holds them.

    Raises:
        CellsError: no cell is in both, or a name occurs more than once.
    """
    for whose, names in (("adata", adata.obs_names), ("results", results.obs_names)):
        if names.has_duplicates:
            raise CellsError(
                f"cell {some_names(names[names.duplicated()].unique())} occurs more than once in {whose}; names must "
                "be unique (`obs_names_make_unique` gives the cells of a study new ones)"
            )
    at = results.obs_names.get_indexer(adata.obs_names)
    if (at < 0).all():
        raise CellsError(
            f"no cell has a result: adata names {some_names(adata.obs_names, 3)}, the results "
            f"{some_names(results.obs_names, 3)}"
        )
    if (at < 0).any():
        _log.info("%s of %s cells have no result", f"{(at < 0).sum():,}", f"{adata.n_obs:,}")
    for column in results.obs:
        if column.startswith("kpnn_"):
            adata.obs[column] = results.obs[column].reindex(adata.obs_names)
    values = np.full((adata.n_obs, results.obsm[REPRESENTATION].shape[1]), np.nan, dtype=np.float32)
    values[at >= 0] = results.obsm[REPRESENTATION][at[at >= 0]]
    adata.obsm[REPRESENTATION] = values
    adata.uns["kpnn"] = results.uns["kpnn"]
