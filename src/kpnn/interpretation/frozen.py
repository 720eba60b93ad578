"""A trained network as plain float64 arithmetic, in which any neuron can be held at any value.

Training is `kpnn.nn`'s; questions such as "what if this neuron were at its mean" or a central difference of 0.001 need
neurons that can be set, and more digits than training does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.special import expit, softmax

from kpnn.errors import ModelError
from kpnn.pkn import Dag

if TYPE_CHECKING:
    import keras

    from kpnn.nn.activations import Activation


_DENSE_ENTRIES = 10_000
"""Entries of a matrix of weights up to which it is dense: a sparse product takes longer to set up than that."""

_Below = tuple[np.ndarray, "np.ndarray | csr_array"]


@dataclass(frozen=True, eq=False)
class Values:
    """What a network computes in some cells.

    Attributes:
        pre: weighted sums, shape (n_cells, n_neurons).
        act: activations, shape (n_cells, n_neurons).
    """

    pre: np.ndarray
    act: np.ndarray


@dataclass(frozen=True, eq=False)
class FrozenNetwork:
    """A trained network that answers questions.

    Attributes:
        dag: its DAG; neurons are in the order of `dag.neurons`, genes in the order of `dag.inputs`.
        from_genes: weights from genes after input normalization, shape (n_neurons, n_inputs).
        offset: bias of each neuron less what the normalization subtracts, shape (n_neurons,).
        between: weights from neurons to neurons, row = parent, shape (n_neurons, n_neurons).
        levels: positions of the neurons of each level, in computing order.
        activations: activation of each neuron.
        one_of_k: whether the outputs are classes that exclude each other: their activations are logits, and a class's
            probability is the softmax of all of them.
    """

    dag: Dag
    from_genes: csr_array
    offset: np.ndarray
    between: csr_array
    levels: tuple[np.ndarray, ...]
    activations: tuple[Activation, ...]
    one_of_k: bool = False

    @classmethod
    def of(cls, model: keras.Model) -> FrozenNetwork:
        """Reads the network off a model.

        Raises:
            ModelError: `build_kpnn` did not make the model.
        """
        from kpnn.nn import biases, edge_weights
        from kpnn.nn.layer import sparse_dag
        from kpnn.nn.normalization import input_normalization

        layer = sparse_dag(model)
        dag, layout = layer.dag, layer.layout
        weights = edge_weights(model).to_numpy(dtype=np.float64)
        offset = biases(model).to_numpy(dtype=np.float64)
        is_gene = layout.children < layout.n_inputs
        shape = (layout.n_neurons, layout.n_inputs)
        from_genes = csr_array((weights[is_gene], (layout.parents[is_gene], layout.children[is_gene])), shape=shape)
        normalization = input_normalization(model)
        if normalization is not None:
            shift, scale = normalization.shift_and_scale()
            from_genes = csr_array(from_genes.multiply(scale[None, :]))
            offset = offset - from_genes @ shift
        rows, columns = layout.parents[~is_gene], layout.children[~is_gene] - layout.n_inputs
        between = csr_array((weights[~is_gene], (rows, columns)), shape=(layout.n_neurons, layout.n_neurons))
        starts = layout.level_starts
        levels = tuple(layout.order[start:end] for start, end in pairwise(starts))
        return cls(dag, from_genes, offset, between, levels, layer.neuron_activations, layer.one_of_k)

    def genes_in(self, cells: csr_array | np.ndarray) -> np.ndarray:
        """What genes and biases add to each neuron, shape (n_cells, n_neurons).

        Args:
            cells: expression, cells x `dag.inputs`.
        """
        product = cells @ csc_array(self.from_genes.T)
        dense = product.toarray() if hasattr(product, "toarray") else np.asarray(product)
        return dense + self.offset

    def run(self, genes: np.ndarray) -> Values:
        """Computes all neurons."""
        pre, act = genes.copy(), np.zeros_like(genes)
        for level, (children, weights) in zip(self.levels, self._below, strict=True):
            pre[:, level] += act[:, children] @ weights
            act[:, level] = self._activate(pre[:, level], level, derivative=False)
        return Values(pre, act)

    def run_with(self, genes: np.ndarray, values: Values, neuron: int, held: np.ndarray | float) -> np.ndarray:
        """Predicted probabilities with one neuron held at given activations; only what lies above it is computed anew.

        Args:
            genes: what `genes_in` returned.
            values: what `run` returned for them.
            neuron: position of the neuron.
            held: its activation, shape (n_cells,) or one number.
        """
        above = self._above[neuron]
        act = values.act.copy()
        act[:, neuron] = held
        for level, (children, weights) in above:
            act[:, level] = self._activate(genes[:, level] + act[:, children] @ weights, level, derivative=False)
        return self.probabilities(Values(values.pre, act))

    def probabilities(self, values: Values) -> np.ndarray:
        """Predicted probabilities, shape (n_cells, n_outputs); a linear output's value is a logit."""
        if self.one_of_k:
            return softmax(values.act[:, self.outputs], axis=1)
        return np.column_stack([self._probability(values, output) for output in self.outputs])

    @cached_property
    def outputs(self) -> list[int]:
        """Position of each output among the neurons."""
        return self.places_of(self.dag.outputs)

    def places_of(self, names: Iterable[str]) -> list[int]:
        """Position of each of some neurons among all of them."""
        return [self._place_of[name] for name in names]

    @property
    def at_rest(self) -> np.ndarray:
        """Activation of each neuron where its weighted sum is 0, shape (n_neurons,)."""
        return np.array([float(kind.function(np.zeros(1))[0]) for kind in self.activations])

    def gradients(self, values: Values, output: int) -> np.ndarray:
        """Change of an output's probability per change of each neuron's activation, the neuron as a free input.

        Of classes that exclude each other that is the class's share of the softmax: what a neuron does to the logits of
        the other classes counts too.

        Args:
            values: what `run` returned.
            output: position of the output among the neurons.

        Returns:
            Shape (n_cells, n_neurons). One pass from the output down gives all neurons.
        """
        gradient = np.zeros_like(values.act)
        gradient[:, output] = 1.0
        if self.one_of_k:
            p = self.probabilities(values)
            place = self.outputs.index(output)
            gradient[:, self.outputs] = p[:, [place]] * (np.eye(p.shape[1])[place] - p)
        elif self.activations[output].name == "linear":
            p = self._probability(values, output)
            gradient[:, output] = p * (1 - p)
        for level, (children, weights) in zip(self.levels[::-1], self._below[::-1], strict=True):
            sums = gradient[:, level] * self._activate(values.pre[:, level], level, derivative=True)
            gradient[:, children] += sums @ weights.T
        return gradient

    def through(self, values: Values, gradients: np.ndarray) -> np.ndarray:
        """Turns gradients by activations into gradients by weighted sums, shape (n_cells, n_neurons)."""
        everyone = np.arange(len(self.activations))
        return gradients * self._activate(values.pre, everyone, derivative=True)

    def _probability(self, values: Values, output: int) -> np.ndarray:
        column = values.act[:, output]
        return expit(column) if self.activations[output].name == "linear" else column

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.dag.neurons)}

    @cached_property
    def _below(self) -> list[_Below]:
        return [self._below_of(level) for level in self.levels]

    def _below_of(self, neurons: np.ndarray) -> _Below:
        """The neurons that some neurons read, each once, and the weights between: those read x those neurons."""
        rows = self.between[neurons]
        children = np.unique(rows.indices)
        weights = rows[:, children].T
        few = weights.shape[0] * weights.shape[1] <= _DENSE_ENTRIES
        return children, weights.toarray() if few else csr_array(weights)

    @cached_property
    def _above(self) -> list[list[tuple[np.ndarray, _Below]]]:
        """For each neuron, the neurons that depend on it, level by level, and what these read."""
        depends = np.eye(self.between.shape[0], dtype=bool)  # row: neuron, column: what it depends on
        for level in self.levels:
            for neuron in level:
                children = self.between.indices[self.between.indptr[neuron] : self.between.indptr[neuron + 1]]
                depends[neuron] |= depends[children].any(axis=0)
        found = []
        for neuron in range(len(depends)):
            parts = [level[depends[level, neuron] & (level != neuron)] for level in self.levels]
            found.append([(part, self._below_of(part)) for part in parts if len(part)])
        return found

    def _activate(self, pre: np.ndarray, neurons: np.ndarray, derivative: bool) -> np.ndarray:
        """Activations of some neurons, or their derivatives, by pre-activations: cells x those neurons."""
        kinds = self._kinds[neurons]
        if len(kinds) and (kinds == kinds[0]).all():
            kind = self.activations[neurons[0]]
            return kind.derivative(pre) if derivative else kind.function(pre)
        values = np.empty_like(pre)
        for number in np.unique(kinds):
            columns = kinds == number
            values[:, columns] = self._activate(pre[:, columns], neurons[columns], derivative)
        return values

    @cached_property
    def _kinds(self) -> np.ndarray:
        """For each neuron the number of its activation among those of the network."""
        numbers = {kind.name: number for number, kind in enumerate(self.activations)}
        return np.array([numbers[kind.name] for kind in self.activations])


def expression_of(model: keras.Model, cells: Any) -> csr_array:
    """Cells in the column order of the model's inputs, float64.

    Args:
        model: whose inputs.
        cells: AnnData or DataFrame, genes matched by name; or a matrix, or lists, in the order of `dag.inputs`.

    Raises:
        ModelError: there are no cells, a gene is missing or a value is not finite.
    """
    from kpnn.nn.inputs import as_rows
    from kpnn.nn.layer import sparse_dag

    if isinstance(cells, list):
        cells = np.asarray(cells)
    if len(getattr(cells, "shape", ())) == 2 and cells.shape[0] == 0:
        raise ModelError("no cells to compute weights from")
    rows, _, _ = as_rows(model, cells)
    # The shape must be said: of cells that lack the last genes scipy would make a narrower matrix.
    shape = (len(rows.indptr) - 1, len(sparse_dag(model).dag.inputs))
    return csr_array(rows, shape=shape, dtype=np.float64)
