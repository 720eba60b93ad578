"""A twin of the T cell receptor study: its shapes, its file's layout, its awkward names, counts of our own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kpnn.errors import SettingsError
from kpnn.pkn import gene_of
from kpnn.simulation.counts import CountModel, draw_counts
from kpnn.simulation.networks import Plan


@dataclass(frozen=True)
class TcrShape:
    """Sizes of the study (Fortelny & Bock 2020, as CORNETO's tutorial reports them).

    Attributes:
        n_class_0, n_class_1: labelled cells per class.
        n_barcodes: barcodes in the file, almost all of them empty droplets.
        n_file_genes: gene columns in the file.
        n_entries: about as many non-zero entries are in the file.
        n_hidden: hidden nodes above measured genes.
        n_silent_hidden: hidden nodes above unmeasured genes only.
        n_measured: input nodes whose gene is seen in a labelled cell.
        n_silent: input nodes whose gene is in the file, but seen in no labelled cell.
        n_absent: input nodes whose gene is not in the file.
        n_matching_columns: gene columns of the file whose name is an input node's gene.
        n_repeats_seen: columns, beyond the first of a name, that hold counts in labelled cells.
        n_measured_edges: edges that lead to a measured gene.
        n_edges: edges in all.

    Examples:
        >>> shape = TcrShape()
        >>> shape.n_measured + shape.n_silent + shape.n_absent  # input nodes
        13121
    """

    n_class_0: int = 880
    n_class_1: int = 855
    n_barcodes: int = 1_474_560
    n_file_genes: int = 64_370
    n_entries: int = 18_000_000
    n_hidden: int = 307
    n_silent_hidden: int = 10
    n_measured: int = 12_459
    n_silent: int = 541
    n_absent: int = 121
    n_matching_columns: int = 14_229
    n_repeats_seen: int = 28
    n_measured_edges: int = 25_928
    n_edges: int = 27_579

    def __post_init__(self) -> None:
        n_present = self.n_measured + self.n_silent
        n_cells = self.n_class_0 + self.n_class_1
        if not (
            self.n_barcodes >= n_cells
            and self.n_file_genes >= self.n_matching_columns >= n_present + self.n_repeats_seen
            and self.n_hidden >= 60
            and self.n_measured_edges >= self.n_measured + 3 * self.n_hidden
            and self.n_edges >= self.n_measured_edges + self.n_silent + self.n_absent + self.n_silent_hidden
        ):
            raise SettingsError(f"sizes that do not fit together: {self}")


_WITH_UNDERSCORES = ("HLA_DRB1", "IGHV3_OR16", "TRAV1_2")


def tcr_network(rng: np.random.Generator, shape: TcrShape) -> Plan:
    """A receptor above kinases above transcription factors, many of which share their genes; a DAG.

    Args:
        rng: draws the edges.
        shape: the sizes to meet exactly.

    Returns:
        The plan; the genes that only the first transcription factor reaches carry the signal. Measured genes come
        first, then silent ones, then absent ones.
    """
    n_kinases = shape.n_hidden // 4
    kinases = [f"KIN{number:03d}" for number in range(n_kinases)]
    factors = [f"TF{number:03d}" for number in range(shape.n_hidden - n_kinases)]
    silent_factors = [f"TFX{number:02d}" for number in range(shape.n_silent_hidden)]
    edges: set[tuple[str, str]] = {("TCR", name) for name in kinases[:6]}
    for number in range(6, n_kinases):
        edges |= {(kinases[int(above)], kinases[number]) for above in rng.integers(number, size=2)}
    for number, factor in enumerate(factors):
        edges |= {(kinases[int(above)], factor) for above in (*rng.integers(n_kinases, size=2), number % n_kinases)}
    genes = _gene_names(shape)
    measured, unmeasured = genes[: shape.n_measured], genes[shape.n_measured :]
    predictive = 60
    # A few factors bind a large part of the genes, most bind few: as in the regulons people have.
    weights = 1 / np.arange(1, len(factors)) ** 0.9
    weights /= weights.sum()
    rest = measured[predictive:]
    edges |= {(factors[0], gene) for gene in measured[:predictive]}
    others = np.arange(1, len(factors))
    own = rng.permutation(np.concatenate([others, rng.choice(others, len(rest) - len(others), p=weights)]))
    edges |= {(factors[int(above)], gene) for above, gene in zip(own, rest, strict=True)}
    _fill(edges, rng, factors[1:], rest, shape.n_measured_edges, weights)
    edges |= {(kinases[int(rng.integers(n_kinases))], factor) for factor in silent_factors}
    known, silent = unmeasured[: len(_WITH_UNDERSCORES)], unmeasured[len(_WITH_UNDERSCORES) :]
    edges |= {(factors[number], gene) for number, gene in enumerate(known, 1)}
    edges |= {(silent_factors[number % len(silent_factors)], gene) for number, gene in enumerate(silent)}
    _fill(edges, rng, factors[1:], unmeasured, shape.n_edges, weights)
    table = pd.DataFrame(sorted(edges), columns=["parent", "child"])
    table["sign"] = rng.choice([1, -1], len(table), p=[0.7, 0.3])
    inputs = {f"{gene}_gene" for gene in genes}
    table["child"] = [f"{name}_gene" if f"{name}_gene" in inputs else name for name in table["child"]]
    first_parent = dict(zip(rest, own, strict=True))
    module_of = {f"{gene}_gene": factors[int(first_parent.get(gene, 0))] for gene in genes}
    table = table.sample(frac=1, random_state=int(rng.integers(2**31))).reset_index(drop=True)
    return Plan(table, "TCR", (factors[0],), module_of)


def _fill(
    edges: set[tuple[str, str]],
    rng: np.random.Generator,
    parents: list[str],
    genes: list[str],
    until: int,
    weights: np.ndarray,
) -> None:
    """Adds edges to genes until there are `until`."""
    while len(edges) < until:
        n = until - len(edges)
        above, below = rng.choice(len(parents), n, p=weights), rng.integers(len(genes), size=n)
        edges |= {(parents[int(a)], genes[int(b)]) for a, b in zip(above, below, strict=True)}


def _gene_names(shape: TcrShape) -> list[str]:
    """Measured, silent, absent; three of the silent ones (by the tutorial's matching) hold an underscore."""
    n = shape.n_measured + shape.n_silent + shape.n_absent
    names = [
        f"{'RP11-' if number % 9 == 4 else ''}GENE{number:05d}{'.1' if number % 31 == 7 else ''}" for number in range(n)
    ]
    names[shape.n_measured : shape.n_measured + len(_WITH_UNDERSCORES)] = _WITH_UNDERSCORES
    return names


@dataclass(frozen=True, eq=False)
class TcrFile:
    """What the study's expression file holds.

    Attributes:
        counts: barcodes x gene columns, int32 CSR.
        barcodes: shape (n_barcodes,).
        symbols: gene symbols, which repeat, shape (n_file_genes,).
        gene_ids: identifiers, shape (n_file_genes,).
        labelled: positions of the labelled cells, shape (n_cells,).
        classes: their class, shape (n_cells,).
    """

    counts: sp.csr_matrix
    barcodes: pd.Index
    symbols: pd.Index
    gene_ids: pd.Index
    labelled: np.ndarray
    classes: np.ndarray


def tcr_file(
    rng: np.random.Generator, shape: TcrShape, plan: Plan, log_fold_changes: np.ndarray, model: CountModel
) -> TcrFile:
    """Draws the file: labelled cells with many counts among droplets with a few."""
    n_present, n_cells = shape.n_measured + shape.n_silent, shape.n_class_0 + shape.n_class_1
    seen = np.arange(shape.n_measured + len(_WITH_UNDERSCORES))  # those with underscores are seen too
    modules = pd.factorize(pd.Series(list(plan.module_of.values())))[0]
    classes = rng.permutation(np.repeat([0, 1], [shape.n_class_0, shape.n_class_1]))
    counts = draw_counts(rng, classes, log_fold_changes[seen], modules[seen], model)
    counts = _seen_at_least_once(rng, counts)
    # Columns of the file: present genes, repeats of some of them, genes that the network does not know.
    n_repeats = shape.n_matching_columns - n_present + len(_WITH_UNDERSCORES)
    present = [gene_of(gene, "_gene") for gene in plan.genes[:n_present]]
    repeated = np.concatenate(
        [np.arange(100, 100 + shape.n_repeats_seen), rng.integers(len(seen), n_present, n_repeats)]
    )
    repeated = repeated[:n_repeats]
    n_foreign = shape.n_file_genes - n_present - n_repeats
    symbols = np.array([*present, *(present[number] for number in repeated), *_foreign_names(n_foreign)], dtype=object)
    place = rng.permutation(shape.n_file_genes)
    columns = np.empty(shape.n_file_genes, dtype=object)
    columns[place] = symbols
    main = sp.csr_matrix((counts.data, place[seen][counts.indices], counts.indptr), shape=(n_cells, shape.n_file_genes))
    thinned = counts[:, repeated[: shape.n_repeats_seen]].tocoo()
    kept = rng.binomial(thinned.data, 0.4)
    # Each of them is seen in the first cell that its twin is seen in.
    first = np.unique(thinned.col, return_index=True)[1]
    kept[first] = thinned.data[first]
    extra = sp.csr_matrix((kept, (thinned.row, place[n_present + thinned.col])), shape=main.shape, dtype=np.int32)
    extra.eliminate_zeros()
    cells = sp.csr_matrix(main + extra, dtype=np.int32)
    labelled = np.sort(rng.choice(shape.n_barcodes, n_cells, replace=False))
    all_counts = _among_droplets(rng, shape, cells, labelled)
    ids = pd.Index([f"ENSG{number:011d}" for number in range(shape.n_file_genes)])
    return TcrFile(all_counts, _barcodes(rng, shape.n_barcodes), pd.Index(columns), ids, labelled, classes)


def _seen_at_least_once(rng: np.random.Generator, counts: sp.csr_matrix) -> sp.csr_matrix:
    missing = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) == 0)
    rows = rng.integers(counts.shape[0], size=len(missing))
    one = sp.csr_matrix((np.ones(len(missing), np.int32), (rows, missing)), shape=counts.shape)
    return sp.csr_matrix(counts + one, dtype=np.int32)


def _foreign_names(n: int) -> list[str]:
    """Genes that the network does not know; guide RNAs of the screen end like input nodes."""
    guides = [f"Tcrlibrary_GUIDE_{number}_gene" for number in range(min(150, n))]
    return [*(f"LOC{number:06d}" for number in range(n - len(guides))), *guides]


def _among_droplets(
    rng: np.random.Generator, shape: TcrShape, cells: sp.csr_matrix, labelled: np.ndarray
) -> sp.csr_matrix:
    n_genes, n_empty = shape.n_file_genes, shape.n_barcodes - len(labelled)
    ambient = np.cumsum(np.bincount(cells.indices, weights=cells.data, minlength=n_genes) + 0.05)
    n_ambient = max(0, shape.n_entries - cells.nnz)
    genes = np.searchsorted(ambient, rng.random(n_ambient) * ambient[-1]).astype(np.int64)
    empty = np.delete(np.arange(shape.n_barcodes), labelled)
    # Droplets differ in how much of the soup they hold.
    share = np.cumsum(rng.gamma(1.5, 1.0, n_empty)) if n_empty else np.ones(0)
    rows = empty[np.searchsorted(share, rng.random(n_ambient) * share[-1])] if n_empty else np.zeros(0, np.int64)
    keys, data = np.unique(rows * n_genes + genes[: len(rows)], return_counts=True)
    own_rows = np.repeat(labelled, np.diff(cells.indptr))
    keys = np.concatenate([keys, own_rows * n_genes + cells.indices])
    data = np.concatenate([data.astype(np.int32), cells.data])
    order = np.argsort(keys, kind="stable")
    rows, columns = np.divmod(keys[order], n_genes)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape.n_barcodes))])
    return sp.csr_matrix((data[order], columns.astype(np.int32), indptr), shape=(shape.n_barcodes, n_genes))


def _barcodes(rng: np.random.Generator, n: int) -> pd.Index:
    """Every sequence once per well, sorted as Cell Ranger sorts them."""
    n_sequences = -(-n // 2)
    codes = np.zeros(0, dtype=np.int64)
    while len(codes) < n_sequences:
        codes = np.unique(np.concatenate([codes, rng.integers(0, 2**32, 2 * n_sequences)]))
    codes = np.sort(rng.permutation(codes)[:n_sequences])
    bases = np.frombuffer(b"ACGT", dtype="S1")[(codes[:, None] >> np.arange(30, -2, -2)) & 3]
    sequences = np.ascontiguousarray(bases).view("S16").ravel().astype("U16").astype(object)
    return pd.Index(np.concatenate([sequences + "-1", sequences + "-2"])[:n])
