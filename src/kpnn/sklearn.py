"""Knowledge-primed neural networks as scikit-learn's estimators: in pipelines, grid searches, cross-validation.

Kedro and MLflow are not needed. What the project adds (folds kept on disk, controls, the comparison of arms, node
weights with their evidence) is not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from kpnn.cells.spellings import other_kind, other_spelling
from kpnn.errors import KpnnError, some_names
from kpnn.pkn import Pkn, gene_of, lanes_of_classes, select_dag, shortest_path_dag, widened_dag
from kpnn.pkn.assembly import with_new_roots
from kpnn.pkn.graph import leaves_of, roots_of
from kpnn.pkn.selection.settings import SolveSettings
from kpnn.training.data import LabelledCells
from kpnn.training.fitting import keras_bytes, model_from_bytes
from kpnn.training.fold import fit_model
from kpnn.training.orientation import mean_activations, signs_of_network
from kpnn.training.settings import RECIPES, EvaluationSettings, FitSettings, Hyperparameters, NetworkSettings

if TYPE_CHECKING:
    import keras

_SUFFIX = "_gene"
_SELECTION = SolveSettings()


class KPNNClassifier(ClassifierMixin, BaseEstimator):
    """A classifier whose neurons are the nodes of a prior knowledge network.

    An ensemble of networks on one DAG, each stopped on an inner fold of its own; some recipes of hyperparameters race
    against each other, as in the project (docs/network.md). Expression should be normalized and on a log scale.

    Args:
        network: edges with columns `parent`, `child` and perhaps `sign` and `cost`: `parent` is nearer the class,
            leaves are genes, with or without the suffix `_gene`. None: no knowledge, every feature leads to the class.
        genes: names of the columns, where `X` is a matrix; by default those of a DataFrame.
        prune: train the provably smallest DAG through the knowledge (of three classes or more, with paths added so that
            no one neuron decides what they are told by; see `kpnn.pkn.widened_dag`); false: all of it (of one with
            cycles, the shortest paths).
        hyperparameters: what is the same in every recipe, by name of a field of
            `kpnn.training.settings.Hyperparameters`.
        recipes: whether recipes race against each other; false: the hyperparameters are taken as they are.
        ensemble: networks of the model.
        max_epochs: most epochs: passes over the cells, of 20,000 of them where there are more.
        patience: epochs without a lower validation loss before a network stops.
        time_limit: seconds for the DAG selection; the best DAG by then is taken.
        random_state: a whole number repeats a fit bit for bit on one machine.

    Attributes:
        classes_: the classes, shape (n_classes,).
        dag_: the network that was trained.
        selection_: the DAG selection with its proof; None where nothing was selected.
        model_: the trained Keras model, which `kpnn.nn` and `kpnn.interpretation` read.
        hyperparameters_: of the winning recipe.
        n_features_in_: number of columns.
        feature_names_in_: their names, where `X` was a DataFrame.

    Examples:
        >>> import pandas as pd
        >>> from kpnn.simulation import simulate
        >>> drawn = simulate("single", n_cells=120, seed=1)
        >>> labels = drawn.labels.set_index("barcode").iloc[:, 0]
        >>> counts = drawn.counts[drawn.barcodes.get_indexer(labels.index)]
        >>> cells = pd.DataFrame(counts.toarray(), labels.index, drawn.symbols)
        >>> classifier = KPNNClassifier(drawn.edges, ensemble=2, max_epochs=5).fit(cells, labels)
        >>> classifier.predict_proba(cells).shape
        (120, 2)
    """

    def __init__(
        self,
        network: pd.DataFrame | None = None,
        *,
        genes: Sequence[str] | None = None,
        prune: bool = True,
        hyperparameters: dict[str, Any] | None = None,
        recipes: bool = True,
        ensemble: int = 5,
        max_epochs: int = 400,
        patience: int = 20,
        time_limit: float = _SELECTION.time_limit,
        random_state: int | np.random.RandomState | None = 42,
    ):
        self.network = network
        self.genes = genes
        self.prune = prune
        self.hyperparameters = hyperparameters
        self.recipes = recipes
        self.ensemble = ensemble
        self.max_epochs = max_epochs
        self.patience = patience
        self.time_limit = time_limit
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> KPNNClassifier:
        """Selects the DAG and trains it.

        Args:
            X: cells x genes: DataFrame, or dense or sparse matrix.
            y: the class of each cell, of any type; two classes are one output (the later in sorted order is 1), more
                exclude each other.
            groups: donor or sample of each cell, which inner folds keep together; None: cells are independent.

        Returns:
            The classifier itself, fitted.

        Raises:
            ValueError: the cells, classes or network are not usable; the message says how.
        """
        if y is None:
            raise ValueError("KPNNClassifier requires y to be passed, but the target y is None")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32)
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"a classifier needs two classes, y holds one class only: {self.classes_.tolist()}")
        try:
            return self._fit(csr_matrix(X), codes.ravel(), groups)
        except KpnnError as error:
            raise ValueError(str(error)) from error

    def _fit(self, X: csr_matrix, codes: np.ndarray, groups: Any) -> KPNNClassifier:
        names = self._feature_names(X.shape[1])
        pkn = self._knowledge(names)
        self.selection_ = select_dag(pkn, time_limit=self.time_limit) if self.prune and pkn.hidden else None
        lanes = lanes_of_classes(len(self.classes_))
        self.dag_ = shortest_path_dag(pkn) if self.selection_ is None else widened_dag(pkn, self.selection_.dag, lanes)
        self.columns_ = pd.Index(names).get_indexer(list(self.dag_.genes(_SUFFIX)))
        one_of_k = len(self.classes_) > 2
        labels = np.eye(len(self.classes_))[codes] if one_of_k else codes[:, None]
        barcodes = np.arange(len(codes)).astype(str)
        groups = None if groups is None else np.asarray(groups).astype(str)
        cells = LabelledCells(
            X[:, self.columns_],
            labels.astype(np.float32),
            barcodes,
            self.dag_.inputs,
            self.dag_.outputs,
            groups,
            one_of_k,
        )
        fitted = fit_model(self.dag_, cells, self._settings(), RECIPES if self.recipes else ())
        self.model_, self.hyperparameters_ = fitted.model, fitted.hyperparameters.model_dump()
        settling = csr_matrix(X[:, self.columns_])
        self.signs_ = [signs_of_network(member, settling) for member in self._members()]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Args:
            X: cells x genes, with the columns that `fit` saw.

        Returns:
            Shape (n_cells, n_classes), float64, in the order of `classes_`; each row adds up to 1.

        Raises:
            NotFittedError: `fit` was not called.
            ValueError: the columns are not those of `fit`, or a value is not finite.
        """
        seen = self._seen(X)
        from kpnn.nn import predict

        found = predict(self.model_, seen).to_numpy(dtype=float)
        if found.shape[1] == 1:
            return np.column_stack([1.0 - found[:, 0], found[:, 0]])
        return found / found.sum(axis=1, keepdims=True)  # float32 sums to 1 only about

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each cell.

        Args:
            X: cells x genes, with the columns that `fit` saw.

        Returns:
            Shape (n_cells,), of the type of `classes_`.

        Raises:
            NotFittedError: as `predict_proba`.
            ValueError: as `predict_proba`.
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def activations(self, X: Any) -> pd.DataFrame:
        """Mean activation of every neuron over the networks, each the way round that speaks for the class.

        Args:
            X: cells x genes, with the columns that `fit` saw.

        Returns:
            Cells x neurons; the index is that of a DataFrame.

        Raises:
            NotFittedError: as `predict_proba`.
            ValueError: as `predict_proba`.
        """
        seen = self._seen(X)
        mean = mean_activations(self._members(), seen, self.signs_)
        return mean.set_axis(X.index, axis=0) if isinstance(X, pd.DataFrame) else mean

    def _seen(self, X: Any) -> csr_matrix:
        check_is_fitted(self, "model_")
        return csr_matrix(validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False))[:, self.columns_]

    def _members(self) -> list[keras.Model]:
        from kpnn.nn import members_of

        return list(members_of(self.model_))

    def _feature_names(self, n_features: int) -> list[str]:
        names = getattr(self, "feature_names_in_", None) if self.genes is None else list(self.genes)
        if names is None:
            names = [f"x{column}" for column in range(n_features)]
        if len(names) != n_features:
            raise ValueError(f"{len(names)} genes are named, but X has {n_features} columns")
        twice = pd.Index(names)[pd.Index(names).duplicated()].unique()
        if len(twice):
            raise ValueError(f"gene {some_names(twice)} occurs more than once; merge its columns first")
        return [str(name) for name in names]

    def _knowledge(self, genes: list[str]) -> Pkn:
        """The network above measured genes, with a root for each output."""
        inputs = [gene + _SUFFIX for gene in genes]
        if self.network is None:
            edges = pd.DataFrame({"parent": "network", "child": inputs})
            outputs = ["network"] if len(self.classes_) == 2 else self._class_names(set())
            if outputs != ["network"]:
                pairs = [(output, child) for output in outputs for child in inputs]
                edges = pd.DataFrame(pairs, columns=["parent", "child"])
            return Pkn.from_edges(edges, inputs=inputs, outputs=outputs)
        edges = self._with_suffix(_edges_of(self.network), set(genes))
        roots, leaves = roots_of(edges), leaves_of(edges)
        if len(self.classes_) == 2 and len(roots) == 1:
            outputs = roots
        else:
            names = self._class_names({*edges["parent"], *edges["child"]} - set(roots))
            outputs = names if len(names) > 2 else [names[1]]
            edges = with_new_roots(edges, outputs, source="network")
        measured = set(inputs) & set(leaves)
        if not measured:
            known = sorted(gene_of(leaf, _SUFFIX) for leaf in leaves)
            advice = other_spelling(known, genes) or other_kind(known, genes)
            raise ValueError(
                f"none of the {len(genes)} columns ({some_names(genes)}) is a leaf of the network "
                f"({some_names(known)}){f'; {advice}' if advice else ''}"
            )
        return Pkn.from_edges(edges, inputs=leaves, outputs=outputs).pruned(sorted(measured))

    def _class_names(self, taken: set[str]) -> list[str]:
        """Names of the classes as outputs; a class that is called as an inner node gets a name of its own."""
        return [f"class {name}" if str(name) in taken else str(name) for name in self.classes_]

    @staticmethod
    def _with_suffix(edges: pd.DataFrame, genes: set[str]) -> pd.DataFrame:
        """Leaves that are called as their genes get the names that input nodes have."""
        child = edges["child"].astype(str)
        is_gene = child.isin(genes) & ~child.isin(edges["parent"].astype(str))
        return edges.assign(parent=edges["parent"].astype(str), child=child.where(~is_gene, child + _SUFFIX))

    def _settings(self) -> EvaluationSettings:
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31 - 1)
        return EvaluationSettings(
            seed=int(seed) % 2**31,  # scikit-learn's may have a bit more
            hyperparameters=Hyperparameters(**(self.hyperparameters or {})),
            network=NetworkSettings(gene_suffix=_SUFFIX),
            fit=FitSettings(ensemble=self.ensemble, max_epochs=self.max_epochs, patience=self.patience),
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = keras_bytes(state["model_"])  # the file describes itself, in any process
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("model_"), bytes):
            state = {**state, "model_": model_from_bytes(state["model_"])}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _edges_of(network: Any) -> pd.DataFrame:
    """The table of edges, if it is one."""
    if not isinstance(network, pd.DataFrame):
        raise ValueError(
            "network must be a table of edges with columns parent and child; kpnn.pkn.readers.read_edges reads one "
            f"from a file{f' such as {network}' if isinstance(network, str | Path) else ''}"
        )
    missing = [name for name in ("parent", "child") if name not in network]
    if missing:
        raise ValueError(
            f"network has no column {some_names(missing)} (found: {some_names(network.columns)}); rename those of "
            "regulators and targets: network.rename(columns={'source': 'parent', 'target': 'child'})"
        )
    return network


__all__ = ["KPNNClassifier"]
