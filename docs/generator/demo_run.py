"""The numbers of a run of the demo that README and first page show, and the figures drawn from them.

In a project whose demo has run (`make demo`), `python docs/generator/demo_run.py` writes `demo_run.json`, `answer.svg`
and `called.svg` in `docs/assets` anew; `--from-json` only draws.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
from answer_figure import figure
from called_figure import called_figure

from kpnn.pkn import Dag, gene_of
from kpnn.reporting.figures.called import strongest_paths

ASSETS = Path(__file__).resolve().parents[1] / "assets"
MOST_GENES = 4
GENE_SUFFIX = "_gene"


def numbers_of_run(data: Path) -> dict[str, Any]:
    """What the figure and the README show of a run of the demo.

    Args:
        data: the project's folder `data`.

    Returns:
        Scores of both arms with their intervals, ROC-AUC of every control, the comparison, sizes, and the called nodes
        of `pruned` on their paths.
    """
    reporting, output = data / "08_reporting" / "demo", data / "07_model_output" / "demo"
    scores = pd.read_csv(reporting / "comparison.csv")
    controls = pd.read_csv(output / "controls" / "summary.csv")
    test = json.loads((reporting / "comparison_test.json").read_text(encoding="utf-8"))
    sizes = json.loads((reporting / "compression.json").read_text(encoding="utf-8"))
    return {
        "scores": [
            {
                "arm": row["arm"],
                "metric": row["metric"],
                **{name: round(row[name], 4) for name in ("mean", "sd", "lower", "upper")},
            }
            for row in scores.to_dict("records")
        ],
        "controls": [
            {"kind": row["control"], "roc_auc": round(row["roc_auc"], 4)} for row in controls.to_dict("records")
        ],
        "difference": {name: round(test["interval"][name], 4) for name in ("estimate", "lower", "upper")},
        "margin": test["margin"],
        "verdict": test["verdict"],
        "sentence": test["sentence"],
        "n_parameters": {arm: sizes[arm]["n_parameters"] for arm in ("full", "pruned")},
        "n_edges": {arm: sizes[arm]["n_edges"] for arm in ("full", "pruned")},
        "called": _called(reporting / "pruned", pd.read_parquet(data / "04_feature" / "demo" / "pruned_dag.parquet")),
    }


def _called(folder: Path, edges: pd.DataFrame) -> list[dict[str, Any]]:
    """The called nodes and those on their strongest paths: their parents and, where called, their heaviest genes."""
    nodes = pd.read_csv(folder / "node_weights.csv")
    weights = pd.read_csv(folder / "edge_weights.csv")
    output = str(nodes["output"].iloc[0])
    dag = Dag.from_edges(edges, outputs=[output])
    parent_of = strongest_paths(dag, weights, output)
    called = nodes[nodes["called"]].set_index("node")
    shown: dict[str, dict[str, Any]] = {}
    for node in called.index:
        place: str | None = node
        while place is not None and place not in shown:
            genes = weights[(weights["parent"] == place) & weights["child"].isin(dag.inputs)]
            shown[place] = {"node": place, "parent": parent_of.get(place), "called": place in called.index}
            if place in called.index:
                heaviest = genes.reindex(genes["weight"].abs().sort_values(ascending=False).index)["child"]
                shown[place] |= {
                    "roc_auc": round(float(called.at[place, "roc_auc"]), 3),
                    "genes": [gene_of(gene, GENE_SUFFIX) for gene in heaviest[:MOST_GENES]],
                    "n_genes": len(genes),
                }
            place = parent_of.get(place)
    return sorted(shown.values(), key=lambda one: (one["parent"] is not None, one["node"]))


def main() -> None:
    """Collects the numbers, where asked for, and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ASSETS.parents[1] / "data", help="folder `data` of the project")
    parser.add_argument("--from-json", action="store_true", help="draw the numbers that are there")
    options = parser.parse_args()
    path = ASSETS / "demo_run.json"
    if not options.from_json:
        path.write_text(json.dumps(numbers_of_run(options.data), indent=1) + "\n", encoding="utf-8")
    numbers = json.loads(path.read_text(encoding="utf-8"))
    (ASSETS / "answer.svg").write_text(figure(numbers), encoding="utf-8")
    (ASSETS / "called.svg").write_text(called_figure(numbers), encoding="utf-8")


if __name__ == "__main__":
    main()
