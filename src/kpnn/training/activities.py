"""Activities of regulators, estimated from their genes without learning: a baseline between genes and networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix

from kpnn.errors import SettingsError
from kpnn.pkn import Dag, Pkn
from kpnn.training.data import LabelledCells

MIN_GENES = 5
"""Fewer genes say too little of a regulator; decoupler's own default."""


def regulon_of(pkn: Pkn | Dag) -> Dag:
    """The regulators of the PKN's genes, in one level below the outputs.

    Args:
        pkn: whose edges into input nodes are the regulon.

    Returns:
        Regulator -> input node as in the PKN, with the edges' signs, and output -> regulator.

    Raises:
        SettingsError: no regulator has `MIN_GENES` genes.
    """
    edges = pkn.edges
    of_genes = edges[edges["child"].isin(pkn.inputs) & ~edges["parent"].isin(pkn.outputs)]
    n_genes = of_genes["parent"].value_counts()
    regulators = sorted(n_genes.index[n_genes >= MIN_GENES])
    if not regulators:
        raise SettingsError(
            f"controls.tf_activity: no regulator of the network has {MIN_GENES} measured genes; set it to false"
        )
    above = pd.DataFrame([(output, regulator) for output in pkn.outputs for regulator in regulators])
    kept = of_genes.loc[of_genes["parent"].isin(regulators), [c for c in ("parent", "child", "sign") if c in of_genes]]
    return Dag.from_edges(pd.concat([kept, above.set_axis(["parent", "child"], axis=1)]), outputs=pkn.outputs)


def regulator_activities(cells: LabelledCells, regulon: Dag) -> LabelledCells:
    """Estimates each regulator's activity in each cell by a univariate linear model (Badia-i-Mompel et al. 2022).

    A cell's activity is the t-value of the slope of its genes' expression on the regulator's signs (+1, -1; an unknown
    one counts as +1; 0 for genes of others). It is taken from the cell alone, so nothing passes between folds.

    Args:
        cells: all labelled cells.
        regulon: as `regulon_of` gives it.

    Returns:
        The same cells with the regulators in the genes' place, float32.
    """
    import decoupler  # slow to import, and an extra

    edges = regulon.edges[regulon.edges["child"].isin(regulon.inputs)]
    signs = edges["sign"].fillna(0).astype(float).replace(0.0, 1.0) if "sign" in edges else 1.0
    net = pd.DataFrame({"source": edges["parent"], "target": edges["child"], "weight": signs})
    matrix = AnnData(cells.expression, pd.DataFrame(index=cells.barcodes), pd.DataFrame(index=pd.Index(cells.nodes)))
    # Cells and genes without any count are left out; where there are such cells, what is left is another object.
    scored = decoupler.mt.ulm(matrix, net, tmin=1)
    scored = matrix if scored is None else scored
    activities = scored.obsm["score_ulm"].reindex(matrix.obs_names).fillna(0.0)
    names = sorted(activities)
    whole = activities[names]
    return replace(cells, store=csr_matrix(whole.to_numpy(dtype=np.float32)), nodes=tuple(names))
