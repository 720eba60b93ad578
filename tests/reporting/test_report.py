"""The report as a file: self-contained, small, escaped, complete, and made from what is there."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
from fabricated import make_dag, make_interpretation, make_study
from matplotlib.image import imread

from kpnn.errors import KpnnError
from kpnn.reporting import Study, write_report
from kpnn.reporting.network_drawing import draw_network
from kpnn.reporting.pictures import save_pictures
from kpnn.reporting.terminal import summary_text


class _Page(HTMLParser):
    """Collects what a page would fetch, its ids and its links within itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.anchors: list[str] = []
        self.unlabelled: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "src" in given or tag == "link":
            self.fetched.append(str(given))
        if tag == "a" and given.get("href", "").startswith("#"):
            self.anchors.append(given["href"][1:])
        if "id" in given:
            self.ids.add(given["id"])
        if given.get("role") == "img" and not given.get("aria-label"):
            self.unlabelled.append(str(given))


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


def test_every_figure_has_a_caption_axis_titles_and_a_picture(report, tmp_path):
    for figure in report.figures:
        assert len(figure.caption) > 40 and figure.title
        titles = [figure.plot.layout.xaxis.title.text, figure.plot.layout.yaxis.title.text]
        assert any(titles), figure.name
    kinds = {figure.name.split("_")[0]: figure for figure in report.figures}
    paths = save_pictures(tuple(kinds.values()), tmp_path, report.network)
    assert len(paths) == 2 * (len(kinds) + 1)
    for path in paths:
        if path.suffix == ".png":
            pixels = imread(path)
            assert pixels.shape[0] > 300 and pixels[..., :3].std() > 0.01, path


def test_figures_tell_arms_apart_by_more_than_colour(report):
    roc = next(figure.plot for figure in report.figures if figure.name == "roc_OUT")
    dashes = {trace.name: trace.line.dash for trace in roc.data if trace.name in ("full", "pruned") and trace.mode}
    assert len(set(dashes.values())) == 2


def test_names_are_escaped_wherever_they_stand():
    study = make_study(outputs=("<b>&OUT",))
    page = without_plotly(write_report(study, title="<script>alert(1)</script>").page)
    assert "<b>&OUT" not in page
    assert "<script>alert(1)" not in page


def test_every_section_of_a_whole_study_is_there(report):
    names = (
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
    )
    ids = _Page(report.page).ids
    assert set(names) <= ids
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


def test_the_drawing_holds_every_neuron_once_and_every_edge_between_neurons():
    study = make_study()
    drawing = draw_network(study)
    expected = set(study.full_dag.neurons) | set(study.pruned_dag.neurons)
    assert set(drawing.nodes["node"]) == expected and len(drawing.nodes) == len(expected)
    kept = drawing.edges[drawing.edges["kept"]]
    names = drawing.nodes["node"].to_numpy()
    pairs = set(zip(names[kept["parent"]], names[kept["child"]], strict=True))
    between = study.pruned_dag.edges[~study.pruned_dag.edges["child"].isin(study.pruned_dag.inputs)]
    assert pairs == set(zip(between["parent"], between["child"], strict=True))
    level = drawing.nodes["level"].to_numpy()
    assert (level[kept["child"]] > level[kept["parent"]]).all()
    places = drawing.nodes.groupby("level")["place"]
    assert (places.nunique() == places.size()).all()


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
