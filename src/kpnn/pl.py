"""Plots in scverse's manner, as interactive plotly figures: `kpnn.pl.nodes`, `network`, `confusion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from sklearn.utils.validation import check_is_fitted

from kpnn.cells.classes import as_texts
from kpnn.errors import CellsError, near_names
from kpnn.pkn import Dag
from kpnn.reporting.figures.classes import draw_confusions
from kpnn.reporting.figures.network import draw_hidden_part
from kpnn.reporting.figures.style import BLUE, VERMILLION, as_text, new_plot
from kpnn.tables import largest_first

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from anndata import AnnData

    from kpnn.sklearn import KPNNClassifier


def nodes(weights: pd.DataFrame, *, n: int = 20, output: str | None = None) -> go.Figure:
    """Draws the heaviest nodes of an output, heaviest on top.

    Args:
        weights: `node`, `output`, `weight`, as `kpnn.tl.node_weights` returns them.
        n: how many nodes.
        output: of which output; by default the first.

    Returns:
        A plotly figure.

    Raises:
        CellsError: there is no such output, or these are no weights.

    Examples:
        >>> table = pd.DataFrame({"node": ["STAT1", "IRF9"], "output": "IFN", "weight": [0.4, 0.2]})
        >>> list(nodes(table).data[0].y)
        ['STAT1', 'IRF9']
    """
    if not isinstance(weights, pd.DataFrame):
        raise CellsError("nodes draws a table of weights: nodes(kpnn.tl.node_weights(adata, classifier))")
    known = list(dict.fromkeys(weights["output"]))
    chosen = known[0] if output is None else output
    if chosen not in known:
        raise CellsError(f"no output {chosen!r}; {near_names(chosen, known)}")
    top = largest_first(weights[weights["output"] == chosen])[:n]
    plot = new_plot(f"node weight for {as_text(chosen)}", "", height=120 + 22 * len(top))
    plot.add_bar(
        x=top["weight"],
        y=[as_text(name) for name in top["node"]],
        orientation="h",
        marker={"color": [BLUE if weight >= 0 else VERMILLION for weight in top["weight"]]},
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )
    plot.update_yaxes(type="category", autorange="reversed")
    return plot


def network(model: KPNNClassifier | Dag, *, title: str = "") -> go.Figure:
    """Draws the neurons of a network and the edges among them; genes appear as a count at each neuron.

    Args:
        model: a fitted classifier, or a DAG.
        title: above the drawing.

    Returns:
        A plotly figure.

    Raises:
        CellsError: it is neither.
        NotFittedError: the classifier is not fitted.

    Examples:
        >>> edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
        >>> network(Dag.from_edges(edges), title="smallest DAG").layout.title.text
        'smallest DAG'
    """
    if not isinstance(model, Dag):
        if not hasattr(model, "fit"):
            raise CellsError("network draws a classifier or its DAG: network(classifier), with that of kpnn.tl.fit")
        check_is_fitted(model, "dag_")
    return draw_hidden_part(model if isinstance(model, Dag) else model.dag_, title=title)


def confusion(adata: AnnData, label: str, *, key: str = "kpnn") -> go.Figure:
    """Draws which class cells are taken for, as shares of each class, with counts on hover.

    Args:
        adata: cells that `kpnn.tl.predict` wrote to.
        label: column of `obs` with the true classes; cells of a class that the classifier does not know are left out.
        key: column of `obs` with the predicted classes.

    Returns:
        A plotly figure.

    Raises:
        CellsError: there is no such column.

    Examples:
        >>> from anndata import AnnData
        >>> obs = pd.DataFrame({"condition": ["a", "a", "b"], "kpnn": ["a", "b", "b"]}, index=["c1", "c2", "c3"])
        >>> confusion(AnnData(obs=obs), "condition").data[0].z.tolist()
        [[0.5, 0.5], [0.0, 1.0]]
    """
    for name in (label, key):
        if name not in adata.obs:
            raise CellsError(f"obs has no column {name!r}; {near_names(name, list(adata.obs))}")
    classes = list(adata.obs[key].astype("category").cat.categories)
    truth, called = as_texts(adata.obs[label]), adata.obs[key].astype(str)
    matrix = pd.crosstab(truth, called).reindex(index=classes, columns=classes, fill_value=0)
    return draw_confusions(matrix)


__all__ = ["confusion", "network", "nodes"]
