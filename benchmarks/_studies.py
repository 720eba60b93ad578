"""Studies of many kinds as a user would bring them: simulated, from scikit-learn and scanpy, and real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from kpnn.pkn.assembly import assemble_edges
from kpnn.simulation import simulate
from kpnn.simulation.counts import CountModel
from kpnn.simulation.tcr_like import TcrShape, tcr_file, tcr_network

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
"""Where real data lie, if they are there: beside the repository."""


@dataclass(frozen=True, eq=False)
class RawStudy:
    """What a user has before anything is run.

    Attributes:
        expression: cells x genes.
        labels: `barcode` and one 0/1 column, the output.
        edges: `parent`, `child`, perhaps `sign`.
        parameters: what she must say of her data, by group of parameters; everything else is at its default.
    """

    expression: AnnData
    labels: pd.DataFrame
    edges: pd.DataFrame
    parameters: Mapping[str, Any] = field(default_factory=dict)


NORMALIZED = {"data_engineering": {"log1p": False, "library_size": None}}
"""For values that are no counts."""


def _study(
    X: Any, genes: Any, labels: pd.Series, edges: pd.DataFrame, parameters: Mapping[str, Any] | None = None
) -> RawStudy:
    cells = AnnData(sp.csr_matrix(X), pd.DataFrame(index=labels.index.astype(str)), pd.DataFrame(index=pd.Index(genes)))
    table = labels.astype(int).rename_axis("barcode").reset_index()
    return RawStudy(cells, table, edges, parameters or {})


def simulated(scenario: str, fold_change: float, seed: int, n_cells: int = 1200) -> RawStudy:
    """A scenario of `kpnn.simulation`.

    Args:
        scenario: its name.
        fold_change: of predictive genes.
        seed: of the draw.
        n_cells: labelled cells.
    """
    drawn = simulate(scenario, n_cells=n_cells, fold_change=fold_change, seed=seed)  # type: ignore[arg-type]
    labels = drawn.labels.set_index("barcode").iloc[:, 0]
    rows = drawn.barcodes.get_indexer(labels.index)
    return _study(drawn.counts[rows], drawn.symbols, labels, drawn.edges)


def tcr_twin(n_planted: int, fold_change: float, log_mean: float, seed: int) -> RawStudy:
    """A twin of the TCR study: its sizes, its labelled cells alone, some planted regulators of 10 to 60 genes.

    Args:
        n_planted: regulators whose genes answer to the class.
        fold_change: of their genes.
        log_mean: mean of the genes' log expression; -1.6 gives a density of about 0.22, -2.6 of about 0.1.
        seed: of the draw.
    """
    shape, rng = TcrShape(n_barcodes=4000, n_entries=100), np.random.default_rng(seed)
    plan = tcr_network(rng, shape)
    of_genes = plan.edges[plan.edges["child"].str.endswith("_gene")]
    sizes = of_genes.groupby("parent").size()
    planted = rng.choice(sizes[(sizes >= 10) & (sizes <= 60)].index.to_numpy(), n_planted, replace=False)
    place = {gene: number for number, gene in enumerate(plan.genes)}
    changes = np.zeros(len(plan.genes))
    for child, sign in of_genes.loc[of_genes["parent"].isin(planted), ["child", "sign"]].itertuples(index=False):
        changes[place[child]] = sign * np.log(fold_change)
    file = tcr_file(rng, shape, plan, changes, CountModel(log_mean=log_mean, log_mean_sd=1.6))
    labels = pd.Series(file.classes, index=file.barcodes[file.labelled], name=plan.output)
    return _study(file.counts[file.labelled], np.array(file.symbols, dtype=str), labels, plan.edges)


def pbmc68k() -> RawStudy:
    """700 blood cells that ship with scanpy: T cells or not."""
    import scanpy

    cells = scanpy.datasets.pbmc68k_reduced().raw.to_adata()
    labels = pd.read_csv(REAL_DATA / "pbmc68k" / "class_labels.csv").set_index("barcode").iloc[:, 0]
    edges = pd.read_csv(REAL_DATA / "pbmc68k" / "edges.csv")
    return _study(cells[labels.index].X, cells.var_names, labels, edges, NORMALIZED)


def blood_types(output: str, positive: Sequence[str], negative: Sequence[str] = ()) -> RawStudy:
    """Some types of the same blood cells against others, below the same receptors.

    Args:
        output: what class 1 is called.
        positive: types of class 1, as `bulk_labels` names them.
        negative: of class 0; none: all others.
    """
    import scanpy

    reduced = scanpy.datasets.pbmc68k_reduced()
    types, cells = reduced.obs["bulk_labels"].astype(str), reduced.raw.to_adata()
    asked = types.isin([*positive, *negative]) if negative else pd.Series(True, index=types.index)
    labels = types[asked].isin(positive).rename(output)
    edges = pd.read_csv(REAL_DATA / "pbmc68k" / "edges.csv").replace({"parent": {"T_cell": output}})
    return _study(cells[asked.to_numpy()].X, cells.var_names, labels, edges, NORMALIZED)


def kang() -> RawStudy:
    """2,000 blood cells, stimulated with interferon-beta or not (Kang et al. 2018), below its receptor complex."""
    from anndata import read_h5ad

    cells = read_h5ad(REAL_DATA / "kang" / "expression.h5ad")
    labels = pd.read_csv(REAL_DATA / "kang" / "class_labels.csv").set_index("barcode")["IFN"]
    signalling = pd.read_csv(REAL_DATA / "signalling_human.csv.gz")
    regulon = pd.read_csv(REAL_DATA / "kang" / "dorothea_abc.csv.gz")
    regulon = regulon.rename(columns={"tf": "parent", "target": "child", "mor": "sign"})[["parent", "child", "sign"]]
    edges = assemble_edges(signalling, regulon, {"IFN": ["IFNAR1", "IFNAR2", "JAK1", "TYK2"]})
    parameters = {"data_engineering": {"min_cells_per_gene": 20, "library_size": 10_000}}
    return _study(cells[labels.index].X, cells.var_names, labels, edges, parameters)


def breast_cancer() -> RawStudy:
    """Scikit-learn's breast cancer data under a network of groups of features: what is measured, and how."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in data.feature_names]
    edges = set()
    for name in names:
        words = name.split("_")
        statistic = next(word for word in words if word in ("mean", "worst", "error"))
        measured = "_".join(word for word in words if word != statistic)
        edges |= {(measured, f"{name}_gene"), (statistic, f"{name}_gene")}
    groups = {
        "size": ("radius", "perimeter", "area"),
        "surface": ("texture", "smoothness", "symmetry", "fractal_dimension"),
        "outline": ("compactness", "concavity", "concave_points"),
    }
    edges |= {(group, member) for group, members in groups.items() for member in members}
    edges |= {("malignant", top) for top in (*groups, "mean", "worst", "error")}
    labels = pd.Series(1 - data.target, index=[f"patient_{i}" for i in range(len(data.target))], name="malignant")
    table = pd.DataFrame(sorted(edges), columns=["parent", "child"])
    return _study(np.log1p(data.data), names, labels, table, NORMALIZED)


def part_of_kang(n_unstimulated: int, n_stimulated: int, seed: int, kept: float = 1.0) -> RawStudy:
    """Fewer of Kang's cells, or fewer counts of each.

    Args:
        n_unstimulated: cells of class 0.
        n_stimulated: cells of class 1.
        seed: of the draw.
        kept: share of counts that are kept, each by itself.
    """
    study, rng = kang(), np.random.default_rng(seed)
    labels = study.labels.set_index("barcode")["IFN"]
    chosen = np.concatenate(
        [
            rng.choice(np.flatnonzero(labels.to_numpy() == value), number, replace=False)
            for value, number in enumerate((n_unstimulated, n_stimulated))
        ]
    )
    counts = sp.csr_matrix(study.expression[chosen].X).astype(np.int64)
    if kept < 1:
        counts.data = rng.binomial(counts.data, kept)
        counts.eliminate_zeros()
    parameters = {"data_engineering": {**study.parameters["data_engineering"], "min_cells_per_gene": 5}}
    return _study(counts, study.expression.var_names, labels.iloc[chosen], study.edges, parameters)


def digits(name: str, positive: Sequence[int], negative: Sequence[int]) -> RawStudy:
    """Scikit-learn's digits under a hierarchy of pixels: blocks, then quadrants, rows and columns.

    Args:
        name: of the output.
        positive: digits of class 1.
        negative: digits of class 0.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    chosen = np.isin(data.target, [*positive, *negative])
    grid = [(row, column) for row in range(8) for column in range(8)]
    edges = {(f"block{row // 2}{column // 2}", f"pixel{row}{column}_gene") for row, column in grid}
    for row in range(4):
        for column in range(4):
            for above in (f"quadrant{row // 2}{column // 2}", f"row{row}", f"column{column}"):
                edges |= {(above, f"block{row}{column}"), (name, above)}
    labels = pd.Series(np.isin(data.target[chosen], positive), name=name)
    labels.index = pd.Index([f"image_{i}" for i in range(len(labels))])
    table = pd.DataFrame(sorted(edges), columns=["parent", "child"])
    return _study(data.data[chosen] / 16.0, [f"pixel{r}{c}" for r, c in grid], labels, table, NORMALIZED)


def wine() -> RawStudy:
    """Scikit-learn's wines, the first cultivar or not: 178 of 13 measurements, in groups by what they measure."""
    from sklearn.datasets import load_wine

    data = load_wine()
    names = [str(name).replace("/", "_") for name in data.feature_names]
    groups = {
        "acids": ("malic_acid", "ash", "alcalinity_of_ash"),
        "phenols": ("total_phenols", "flavanoids", "nonflavanoid_phenols", "proanthocyanins"),
        "colour": ("color_intensity", "hue", "od280_od315_of_diluted_wines"),
        "body": ("alcohol", "magnesium", "proline"),
        "taste": ("alcohol", "color_intensity", "flavanoids", "proline"),
    }
    return _in_groups(data.data, names, pd.Series(data.target == 0, name="cultivar"), groups)


def diabetes() -> RawStudy:
    """Scikit-learn's diabetes patients, above the median progression or not: 442 of ten measurements, in groups."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    groups = {
        "person": ("age", "sex", "bmi"),
        "blood": ("bp", "s1", "s2", "s3", "s4", "s5", "s6"),
        "lipids": ("s1", "s2", "s3", "s4", "s5"),
        "metabolism": ("bmi", "bp", "s5", "s6"),
    }
    above = pd.Series(data.target > np.median(data.target), name="progression")
    return _in_groups(data.data, list(data.feature_names), above, groups)


def _in_groups(X: np.ndarray, names: list[str], labels: pd.Series, groups: Mapping[str, Sequence[str]]) -> RawStudy:
    edges = {(group, f"{member}_gene") for group, members in groups.items() for member in members}
    edges |= {(str(labels.name), group) for group in groups}
    labels.index = pd.Index([f"case_{i}" for i in range(len(labels))])
    return _study(X, names, labels, pd.DataFrame(sorted(edges), columns=["parent", "child"]), NORMALIZED)


STUDIES: dict[str, Callable[[], RawStudy]] = {
    "demo": lambda: simulated("cyclic", 2.0, 42, 3000),
    "pbmc68k": pbmc68k,
    "kang": kang,
    "tcr_few": lambda: tcr_twin(1, 2.0, -1.6, 1),
    "tcr_eight": lambda: tcr_twin(8, 1.6, -1.6, 0),
    "tcr_many_sparse": lambda: tcr_twin(30, 1.5, -2.6, 2),
    "breast_cancer": breast_cancer,
    "digits": partial(digits, "eight", [8], [3]),
    "digits_even": partial(digits, "even", range(0, 10, 2), range(1, 10, 2)),
    "wine": wine,
    "diabetes": diabetes,
    "pbmc68k_cd8": partial(
        blood_types,
        "CD8_T_cell",
        ["CD8+ Cytotoxic T", "CD8+/CD45RA+ Naive Cytotoxic"],
        ["CD4+/CD25 T Reg", "CD4+/CD45RO+ Memory", "CD4+/CD45RA+/CD25- Naive T"],
    ),
    "pbmc68k_monocytes": partial(blood_types, "monocyte", ["CD14+ Monocyte"], ["Dendritic"]),
    "pbmc68k_nk": partial(blood_types, "NK_cell", ["CD56+ NK"]),
    "kang_few_cells": partial(part_of_kang, 60, 60, 0),
    "kang_rare_class": partial(part_of_kang, 900, 50, 1),
    "kang_few_counts": partial(part_of_kang, 500, 500, 2, 0.1),
    **{
        f"{scenario}_{fold_change}": (lambda s=scenario, f=fold_change: simulated(s, f, 1))  # type: ignore[misc]
        for scenario in ("single", "redundant", "uneven", "deep", "cyclic")
        for fold_change in (1.3, 2.0)
    },
}
"""Every study by name."""
