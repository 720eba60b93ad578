"""The report as a file: self-contained, small, escaped, complete, and made from what is there."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
from fabricated import make_arm, make_dag, make_interpretation, make_study

from kpnn.errors import KpnnError
from kpnn.pkn import Dag
from kpnn.reporting import Study, write_report
from kpnn.reporting.terminal import comparison_lines, summary_text


class _Page(HTMLParser):
    """Collects what a page would fetch, its ids and its links within itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.anchors: list[str] = []
        self.unlabelled: list[str] = []
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.add(tag)
        self.handlers += [name for name in given if name.startswith("on")]
        if "src" in given or tag == "link":
            self.fetched.append(str(given))
        if tag == "a" and given.get("href", "").startswith("#"):
            self.anchors.append(given["href"][1:])
        if "id" in given:
            self.ids.add(given["id"])
        if given.get("role") == "img" and not given.get("aria-label"):
            self.unlabelled.append(str(given))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report():
    return write_report(make_study())


def without_plotly(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_the_report_fetches_nothing_and_links_only_to_what_it_holds(report):
    page = _Page(report.page)
    assert page.fetched == []
    assert set(page.anchors) <= page.ids
    assert page.unlabelled == []
    assert "@import" not in report.page.split("</style>")[0]


def test_every_figure_has_a_caption_and_axis_titles(report):
    for figure in report.figures:
        assert len(figure.caption) > 40 and figure.title
        titles = [figure.plot.layout.xaxis.title.text, figure.plot.layout.yaxis.title.text]
        drawn = [axis.visible is not False for axis in (figure.plot.layout.xaxis, figure.plot.layout.yaxis)]
        assert any(titles) or not any(drawn), figure.name  # drawings of networks have no axes


def test_figures_tell_arms_apart_by_more_than_colour(report):
    roc = next(figure.plot for figure in report.figures if figure.name == "roc_OUT")
    dashes = {trace.name: trace.line.dash for trace in roc.data if trace.name in ("full", "pruned") and trace.mode}
    assert len(set(dashes.values())) == 2


def test_names_are_escaped_wherever_they_stand():
    study = make_study(outputs=("<b>&OUT",))
    page = without_plotly(write_report(study, title="<script>alert(1)</script>").page)
    assert "<b>&OUT" not in page
    assert "<script>alert(1)" not in page


HOSTILE = ("</script><img src=x onerror=alert(1)>", "\" onmouseover='alert(1)'", "{{ 7 * 7 }}", "`a`<i>&amp;", "$x$")


def test_hostile_names_of_nodes_genes_and_outputs_stay_text():
    plain = _Page(write_report(make_study()).page)
    study = make_study(outputs=HOSTILE[:2], n_hidden=8, n_genes=12)
    renamed = {node: f"{name} hidden" for node, name in zip(study.pruned_dag.hidden, HOSTILE, strict=False)}
    weighed = tuple(
        replace(
            found,
            nodes=found.nodes.replace({"node": renamed}),
            per_fold=found.per_fold.replace({"node": renamed}),
            genes=found.genes.replace({"gene": {"G0": HOSTILE[0]}}),
        )
        for found in study.interpretations
    )
    edges = study.pruned_dag.edges.replace({"parent": renamed, "child": renamed})
    dag = Dag.from_edges(edges, outputs=study.pruned_dag.outputs)
    membership = study.membership.replace({"node": renamed})
    hostile = replace(study, interpretations=weighed, pruned_dag=dag, membership=membership)
    page = _Page(write_report(hostile, title=HOSTILE[0]).page)
    assert page.tags == plain.tags
    assert page.handlers == [] and page.fetched == []
    words = "".join(page.words)
    assert HOSTILE[0] in words and "{{ 7 * 7 }}" in words


def test_every_section_of_a_whole_study_is_there(report):
    names = [
        "comparison",
        "curves",
        "nodes",
        "network",
        "trust",
        "sizes",
        "controls",
        "training",
        "data",
        "record",
        "cite",
    ]
    assert set(names) <= _Page(report.page).ids
    assert report.answer.sentence.split("`")[0] in report.page
    assert "N000" in without_plotly(report.page)
    assert {"comparison", "folds", "sizes", "controls", "stability", "node_membership"} <= set(report.tables)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arms": ()}, "no comparison"),
        ({"interpretations": ()}, "No network is there to weigh nodes with"),
        ({"missing": ("`full`: repeat_0_fold_3 has no model",)}, "repeat_0_fold_3 has no model"),
        ({"selection": {"status": "time_limit", "gap": 0.05}}, "not proven to be the smallest"),
    ],
)
def test_what_is_not_there_is_said(change, said):
    page = write_report(replace(make_study(), **change)).page
    assert said in without_plotly(page)


def test_arms_that_share_no_node_are_told_apart():
    study = make_study()
    other = make_dag(10, 60, 5, name="OTHER")
    weighed = (study.interpretations[0], make_interpretation("pruned", other))
    page = write_report(replace(study, interpretations=weighed, pruned_dag=other)).page
    assert "share no hidden node" in page


def test_an_empty_study_still_gives_a_page():
    page = write_report(Study()).page
    assert "no comparison" in page and "</html>" in page


def test_the_tutorials_protocol_is_called_optimistic():
    study = make_study()
    arm = replace(study.arms[0], fold_metrics=study.arms[0].fold_metrics.assign(protocol="tutorial"))
    assert "optimistic" in write_report(replace(study, arms=(arm, study.arms[1]))).page


def test_a_report_as_large_as_the_tcr_studys_is_small_and_quickly_written():
    study = make_study(n_hidden=300, n_genes=12_000, n_cells=1735)
    begun = time.process_time()
    report = write_report(study)
    assert time.process_time() - begun < 20
    assert len(report.page.encode()) < 8_000_000


def test_the_terminal_shows_the_comparison_the_answer_and_where_to_look(tmp_path):
    with pytest.raises(KpnnError, match="kedro run"):
        summary_text(tmp_path)
    table = pd.DataFrame(
        {"arm": ["full", "pruned"], "metric": "roc_auc", "mean": [0.95, 0.94], "sd": [0.01, 0.02], "n_folds": 5}
    )
    table.to_csv(tmp_path / "comparison.csv", index=False)
    (tmp_path / "comparison_test.json").write_text(
        '{"sentence": "As well.", "metrics": {"parameter_compression_percent": 51.3, "edge_compression_percent": 51.0}}'
    )
    told = summary_text(tmp_path)
    for expected in ("0.950 ± 0.010", "0.940 ± 0.020", "As well.", "51.30 %", "report.html", "make mlflow", "make viz"):
        assert expected in told
    assert "http://127.0.0.1:5000" in told and "http://127.0.0.1:4141" in told


def test_the_terminals_table_lines_up_and_keeps_the_order_of_arms_and_scores():
    rows = [
        {"arm": arm, "metric": metric, "mean": 0.9, "sd": sd, "n_folds": 5}
        for arm, sd in (("pruned", 0.01), ("full", float("nan")))
        for metric in ("roc_auc", "brier")
    ]
    header, first, second = comparison_lines(pd.DataFrame(rows))
    assert header.split() == ["pruned", "full"]
    assert first.split() == ["ROC-AUC", "0.900", "±", "0.010", "0.900"]
    assert second.startswith("Brier score (less is better)")
    assert len(header) == len(first) == len(second)
    assert comparison_lines(pd.DataFrame(rows[:0])) == ["No arm has results."]


def test_of_one_network_no_loss_is_stated_below_zero():
    dag = make_dag(6, 12, seed=1)
    study = Study(arms=tuple(make_arm(name, dag, seed=3) for name in ("full", "pruned")))
    words = " ".join(_Page(without_plotly(write_report(study).page)).words)
    assert "both are the same network" in words and "-0.00 %" not in words
