"""DAG selection side by side: kpnn's compact formulation, and CORNETO's AcyclicFlow called as its tutorial does.

Each measurement runs in a process of its own, so that memory is its own. Instances: a TCR-sized DAG, PBMC68k, the human
PKN (signalling plus every TRRUST target reachable from eight T cell receptors), and seeded synthetic PKNs with a large
cyclic core. `python benchmarks/dag_selection.py --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kpnn.pkn import Pkn, select_dag

RECEPTORS = ("CD247", "CD3E", "CD3D", "CD3G", "LCK", "ZAP70", "CD4", "CD8A")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def tcr_sized(seed: int = 0, n_hidden: int = 297, n_genes: int = 12_459, n_edges: int = 25_898) -> Pkn:
    """A DAG as large as the TCR study's PKN: six levels of hidden nodes; 5,000 or so different sets of regulators."""
    rng = np.random.default_rng(seed)
    names = np.array(["TCR", *(f"P{i:03d}" for i in range(1, n_hidden + 1))], dtype=object)
    level = np.concatenate([[0], np.sort(rng.integers(1, 7, n_hidden))])
    pairs: list[tuple[str, str]] = []
    for child in range(1, n_hidden + 1):
        above = np.flatnonzero(level == level[child] - 1)
        chosen = rng.choice(above, min(len(above), 1 + int(rng.geometric(0.35))), replace=False)
        pairs += [(names[parent], names[child]) for parent in chosen]
    regulators = 1 + np.flatnonzero(level[1:] >= 2)
    popularity = rng.lognormal(0, 1.6, len(regulators))
    n_further = rng.multinomial(n_edges - len(pairs) - n_genes, rng.dirichlet(np.ones(n_genes)))
    for gene in range(n_genes):
        n_parents = min(1 + int(n_further[gene]), 40)
        chosen = rng.choice(regulators, n_parents, replace=False, p=popularity / popularity.sum())
        pairs += [(names[parent], f"G{gene:05d}_gene") for parent in chosen]
    return _pkn(pd.DataFrame(pairs, columns=["parent", "child"]), ["TCR"])


def pbmc68k() -> Pkn:
    """The PKN of the 700 reduced PBMC68k cells: 1,203 nodes, one strongly connected component of 902."""
    return Pkn.from_edges(pd.read_csv(DATA / "pbmc68k" / "edges.csv"), outputs=["T_cell"]).pruned()


def pbmc68k_outputs() -> Pkn:
    """The same with three outputs."""
    edges = pd.read_csv(DATA / "pbmc68k" / "edges_multi_output.csv")
    return Pkn.from_edges(edges, outputs=["T_cell", "B_cell", "Monocyte"]).pruned()


def pbmc68k_many(n_outputs: int, *, seed: int = 0) -> Pkn:
    """The same with many outputs, three receptors each, drawn among the hidden nodes."""
    rng = np.random.default_rng(seed)
    pkn = pbmc68k()
    below = pkn.edges.loc[pkn.edges["parent"] != pkn.outputs[0], ["parent", "child"]]
    roots = [
        (f"output{place}", name)
        for place in range(n_outputs)
        for name in rng.choice(np.array(sorted(set(below["parent"])), dtype=object), 3, replace=False)
    ]
    table = pd.concat([below, pd.DataFrame(roots, columns=["parent", "child"])])
    return _pkn(table, [f"output{place}" for place in range(n_outputs)])


def human() -> Pkn:
    """Human signalling plus every TRRUST target: 3,401 nodes, 10,603 edges."""
    signalling = pd.read_csv(DATA / "signalling_human.csv.gz")[["parent", "child"]]
    trrust = pd.read_csv(DATA / "trrust_human.csv.gz")
    targets = pd.DataFrame({"parent": trrust["tf"], "child": trrust["target"] + "_gene"})
    roots = pd.DataFrame({"parent": "T_cell", "child": RECEPTORS})
    return _pkn(pd.concat([signalling, targets, roots]).drop_duplicates(), ["T_cell"])


def synthetic(n_hidden: int, *, seed: int = 0, is_hard: bool = False) -> Pkn:
    """A PKN with a large cyclic core, twice as many genes as hidden nodes and about ten edges per node.

    Args:
        n_hidden: hidden nodes; some reach no gene and are pruned away.
        seed: of everything.
        is_hard: every gene has five regulators, so that presolve forces none: a random set covering problem on top of
            a connection problem. Otherwise the number is geometric with mean five, as a few genes know one regulator
            only, in real PKNs as well.
    """
    rng = np.random.default_rng(seed)
    hidden = np.array([f"P{i:05d}" for i in range(n_hidden)], dtype=object)
    genes = np.array([f"G{i:05d}_gene" for i in range(2 * n_hidden)], dtype=object)
    popularity = rng.lognormal(0, 1, n_hidden)
    parents = rng.choice(n_hidden, 10 * n_hidden, p=popularity / popularity.sum())
    children = rng.integers(0, n_hidden, 10 * n_hidden)
    factors = rng.choice(n_hidden, int(0.3 * n_hidden), replace=False)
    weight = rng.lognormal(0, 1, len(factors))
    n_regulators = np.full(len(genes), 5) if is_hard else rng.geometric(0.2, len(genes))
    regulated = np.repeat(genes, n_regulators)
    regulators = hidden[rng.choice(factors, len(regulated), p=weight / weight.sum())]
    receptors = hidden[rng.choice(n_hidden, 10, replace=False)]
    table = pd.DataFrame(
        {
            "parent": np.concatenate([hidden[parents], regulators, np.full(10, "root", dtype=object)]),
            "child": np.concatenate([hidden[children], regulated, receptors]),
        }
    )
    return _pkn(table[table["parent"] != table["child"]].drop_duplicates(), ["root"])


def pathways(levels: tuple[int, ...], n_genes: int, n_memberships: float, *, seed: int = 0) -> Pkn:
    """A layered network without cycles, as pathway databases are: pathways in pathways, genes in those further down.

    Args:
        levels: pathways on each level below the root.
        n_genes: genes.
        n_memberships: mean number of pathways that a gene is in.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    above, pairs, named = ["root"], [], []
    for level, n_pathways in enumerate(levels):
        names = [f"L{level}_{place:04d}" for place in range(n_pathways)]
        for name in names:
            # Most pathways lie in one larger one, some in two.
            n_parents = min(len(above), 1 + int(rng.random() < 0.15))
            pairs += [(parent, name) for parent in rng.choice(above, n_parents, replace=False)]
        above = names
        named += names if level else []
    named = named or above
    popularity = rng.lognormal(0, 1, len(named))
    for gene in range(n_genes):
        n_parents = min(len(named), int(rng.geometric(1 / n_memberships)))
        chosen = rng.choice(named, n_parents, replace=False, p=popularity / popularity.sum())
        pairs += [(parent, f"G{gene:05d}_gene") for parent in chosen]
    return _pkn(pd.DataFrame(pairs, columns=["parent", "child"]).drop_duplicates(), ["root"])


def with_outputs(pkn: Pkn, n_outputs: int = 3) -> Pkn:
    """The same PKN, the children of its only output shared out among several."""
    table = pkn.edges[["parent", "child"]].copy()
    is_first = (table["parent"] == pkn.outputs[0]).to_numpy()
    outputs = [f"output{place}" for place in range(n_outputs)]
    table.loc[is_first, "parent"] = [outputs[place % n_outputs] for place in range(int(is_first.sum()))]
    return _pkn(table, outputs)


def _pkn(table: pd.DataFrame, outputs: list[str]) -> Pkn:
    genes = sorted(set(table["child"][table["child"].str.endswith("_gene")]))
    return Pkn.from_edges(table, inputs=genes, outputs=outputs).pruned()


def instance(name: str) -> Pkn:
    """The PKN of this name: `tcr`, `pbmc68k`, `pbmc68k_outputs`, `pbmc68k_N` (N outputs), `human`, `synthetic_N`,
    `outputs_N`, `hard_N`, or `shaped_like_reactome`, `shaped_like_ontology`, `shaped_like_genesets`; with `outputs_`
    before a shape, three outputs share out its top terms.
    """
    kind, _, size = name.rpartition("_")
    if kind == "pbmc68k" and size.isdigit():
        return pbmc68k_many(int(size))
    if kind == "outputs":
        return with_outputs(synthetic(int(size)))
    if kind in ("synthetic", "hard"):
        return synthetic(int(size), is_hard=kind == "hard")
    if kind in ("shaped_like", "outputs_shaped_like"):
        # Levels and memberships of genes as in Reactome, in Gene Ontology and in flat collections of gene sets.
        shapes = {
            "reactome": ((28, 160, 400, 300, 120), 800, 2.5),
            "ontology": ((40, 300, 900, 1200, 700, 300), 3000, 6.0),
            "genesets": ((50,), 4000, 2.0),
        }
        shaped = pathways(*shapes[size])
        return with_outputs(shaped) if kind.startswith("outputs") else shaped
    return {"tcr": tcr_sized, "pbmc68k": pbmc68k, "pbmc68k_outputs": pbmc68k_outputs, "human": human}[name]()


def measure(name: str, peer: str, time_limit: float, threads: int) -> dict[str, Any]:
    """Selects a DAG once; seconds count from the PKN in memory to the DAG.

    Args:
        name: see `instance`; with `@any` behind it each input keeps a path to one output, else to each that it reaches.
        peer: `kpnn` or `corneto`, whose statement is `@any`.
        time_limit: seconds.
        threads: most threads.
    """
    plain, _, reach = name.partition("@")
    pkn = instance(plain)
    base = _peak_megabytes()
    sizes = {"nodes": len(pkn.nodes), "edges_pkn": len(pkn.edges), "genes": len(pkn.inputs)}
    start, cpu_start = time.perf_counter(), time.process_time()
    if peer == "corneto":
        found = _corneto(pkn, time_limit)
    else:
        selection = select_dag(pkn, time_limit=time_limit, threads=threads, reach=reach or "every")
        found = {
            "edges": selection.objective,
            "bound": selection.bound,
            "gap": selection.gap,
            "neurons": len(selection.dag.neurons),
            "status": selection.status,
        }
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    if peer == "kpnn":
        selection.verify()
    memory = {"peak_megabytes": _peak_megabytes(), "loaded_megabytes": base}
    return {"instance": name, "by": peer, **sizes, **found, "seconds": seconds, "cpu_seconds": cpu_seconds, **memory}


def _corneto(pkn: Pkn, time_limit: float) -> dict[str, Any]:
    """The tutorial's call, with HiGHS; its extra edges into the inputs and out of the output are taken off."""
    import corneto as cn

    _tell("building its formulation")
    graph = cn.Graph.from_sif_tuples(
        [(child, 1, parent) for parent, child in zip(pkn.edges["parent"], pkn.edges["child"], strict=True)]
    )
    extra = [graph.add_edge((), name) for name in pkn.inputs] + [graph.add_edge(name, ()) for name in pkn.outputs]
    problem = cn.opt.AcyclicFlow(graph)
    problem += problem.expr.with_flow[extra] == 1
    problem.add_objectives(sum(problem.expr.with_flow), weights=1)
    _tell("compiling and solving it")
    solved = problem.solve(solver="HIGHS", max_seconds=int(time_limit))
    value = problem.expr.with_flow.value
    # Stopped before it has any DAG, HiGHS hands back zeros.
    has_dag = value is not None and np.round(value)[extra].sum() == len(extra)
    edges = float(np.round(value).sum()) - len(extra) if has_dag else float("nan")
    bound = float(solved.solver_stats.extra_stats.mip_dual_bound) - len(extra)
    return {
        "edges": edges,
        "bound": bound,
        "gap": (edges - bound) / edges,
        "neurons": None,
        "status": "optimal" if has_dag and edges - bound < 1 - 1e-6 else "time_limit",
    }


def _tell(phase: str) -> None:
    """Tells the process that waits what this one is at."""
    print(f"PHASE {phase}", flush=True)


def in_process(arguments: list[str], time_limit: float, gigabytes: float) -> dict[str, Any]:
    """Runs this program for one measurement; says how far it came where that takes more time or memory than allowed."""
    command = [sys.executable, __file__, *arguments]
    most = int(gigabytes * 1e9)
    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)),
    ) as process:
        try:
            output, errors = process.communicate(timeout=time_limit)
            reason = (errors.strip().splitlines() or [f"ended with {process.returncode} and said nothing"])[-1]
        except subprocess.TimeoutExpired:
            memory = _peak_of(process.pid)
            process.kill()
            output, _ = process.communicate()
            reason = f"stopped after {time_limit:.0f} s with {memory:,.0f} MB"
    for line in output.splitlines():
        if line.startswith("RESULT "):
            return dict(json.loads(line.removeprefix("RESULT ")))
    phases = [line.removeprefix("PHASE ") for line in output.splitlines() if line.startswith("PHASE ")]
    return {
        "error": "; ".join([reason, *(f"while {phase}" for phase in phases[-1:])])[:300],
        "seconds": time.perf_counter() - start,
    }


def _peak_of(pid: int) -> float:
    """Largest memory so far of a process that runs, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), float("nan"))


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """What a reader must know to compare: processor, cores, versions."""
    packages = ("highspy", "cvxpy", "corneto", "scipy", "numpy")
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in packages
    )


def as_markdown(results: list[dict[str, Any]]) -> str:
    """The results as a table; the ratio compares CPU seconds with kpnn's on the same instance."""
    own = {row["instance"]: row["cpu_seconds"] for row in results if row["by"] == "kpnn" and "cpu_seconds" in row}
    lines = [
        "| instance | PKN nodes / edges / genes | by | edges | bound | gap | neurons | seconds | CPU seconds | ratio "
        "| peak MB |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results:
        if "error" in row:
            lines.append(f"| {row['instance']} | | {row['by']} | {row['error']} | | | | | | | |")
            continue
        ratio = row["cpu_seconds"] / own[row["instance"]] if row["instance"] in own else float("nan")
        lines.append(
            f"| {row['instance']} | {row['nodes']:,} / {row['edges_pkn']:,} / {row['genes']:,} | {row['by']} | "
            f"{row['edges']:,.0f} | {row['bound']:,.1f} | {100 * row['gap']:.2f} % | {row['neurons'] or ''} | "
            f"{row['seconds']:.2f} | {row['cpu_seconds']:.2f} | {ratio:,.0f} | {row['peak_megabytes']:,.0f} |"
        )
    return "\n".join(lines)


def write(results: list[dict[str, Any]], json_path: Path | None, markdown_path: Path | None) -> None:
    """Writes what is known so far to the files asked for."""
    if json_path:
        json_path.write_text(json.dumps({"machine": machine(), "results": results}, indent=2), encoding="utf-8")
    if markdown_path:
        markdown_path.write_text(f"{machine()}\n\n{as_markdown(results)}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--instances",
        default="tcr,pbmc68k,pbmc68k_outputs,pbmc68k_outputs@any,pbmc68k_10,human,synthetic_1000,synthetic_3000,"
        "synthetic_10000,synthetic_30000,outputs_1000,outputs_3000,outputs_3000@any,hard_10000,shaped_like_reactome,"
        "shaped_like_ontology,shaped_like_genesets,outputs_shaped_like_reactome,outputs_shaped_like_genesets",
    )
    parser.add_argument("--corneto", default="", help="instances on which corneto runs as well, or `all`")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds per selection")
    parser.add_argument("--corneto-time-limit", type=float, default=300.0, help="seconds of corneto's solver")
    parser.add_argument("--process-limit", type=float, default=600.0, help="seconds of one measurement in all")
    parser.add_argument("--process-gigabytes", type=float, default=20.0, help="address space of one measurement")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--markdown", type=Path, help="where to write the table")
    parser.add_argument("--one", nargs=2, metavar=("INSTANCE", "BY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, peer = arguments.one
        limit = arguments.corneto_time_limit if peer == "corneto" else arguments.time_limit
        print("RESULT", json.dumps(measure(name, peer, limit, arguments.threads), default=float))
        return
    results = []
    names = arguments.instances.split(",")
    beside = names if arguments.corneto == "all" else arguments.corneto.split(",")
    for name in names:
        for peer in ("kpnn", "corneto") if name in beside else ("kpnn",):
            done = in_process(
                [*sys.argv[1:], "--one", name, peer], arguments.process_limit, arguments.process_gigabytes
            )
            results.append({"instance": name, "by": peer} | done)
            print(results[-1], flush=True)
            write(results, arguments.json, arguments.markdown)
    print(f"\n{machine()}\n\n{as_markdown(results)}")


if __name__ == "__main__":
    main()
