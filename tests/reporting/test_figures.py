"""The drawing of the DAG, labels that do not cover each other, and the figures for a paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fabricated import make_dag, make_study
from matplotlib.image import imread

from kpnn.reporting.figures.network import LETTER_PIXELS, draw_network, lay_out, lay_out_study
from kpnn.reporting.figures.paper import as_files, draw_roc, draw_roc_of_outputs, file_name, paper_figures
from kpnn.reporting.figures.style import place_labels


@pytest.fixture(scope="module")
def study():
    return make_study()


def test_the_drawing_holds_every_neuron_once_and_every_edge_between_neurons(study):
    layout = lay_out_study(study)
    expected = set(study.full_dag.neurons) | set(study.pruned_dag.neurons)
    assert set(layout.nodes["node"]) == expected and len(layout.nodes) == len(expected)
    kept = layout.edges[layout.edges["kept"]]
    names = layout.nodes["node"].to_numpy()
    pairs = set(zip(names[kept["parent"]], names[kept["child"]], strict=True))
    between = study.pruned_dag.edges[~study.pruned_dag.edges["child"].isin(study.pruned_dag.inputs)]
    assert pairs == set(zip(between["parent"], between["child"], strict=True))
    level = layout.nodes["level"].to_numpy()
    assert (level[kept["child"]] > level[kept["parent"]]).all()


@pytest.mark.parametrize(("n_hidden", "outputs"), [(12, ("OUT",)), (150, ("OUT", "A_MUCH_LONGER_NAME"))])
def test_no_name_in_the_drawing_covers_another_or_an_edge_of_its_node(n_hidden, outputs):
    layout = lay_out(make_dag(n_hidden, 40, 3, outputs), make_dag(2 * n_hidden, 40, 4, outputs))
    nodes = layout.nodes.assign(end=layout.nodes["x"] + LETTER_PIXELS * layout.nodes["node"].str.len())
    for _, level in nodes.groupby("level"):
        assert np.diff(np.sort(level["row"])).min(initial=1.0) >= 1 - 1e-9
    starts = nodes.groupby("level")["x"].first()
    assert (nodes.groupby("level")["end"].max().iloc[:-1].to_numpy() < starts.iloc[1:].to_numpy()).all()
    across, down = layout.curves(layout.edges)
    assert (across[:, 0] > nodes["end"].to_numpy()[layout.edges["parent"]]).all()
    np.testing.assert_allclose(down[:, 0], nodes["row"].to_numpy()[layout.edges["parent"]])
    np.testing.assert_allclose(down[:, -1], nodes["row"].to_numpy()[layout.edges["child"]])


def test_what_was_pruned_away_stands_below_what_was_kept_and_does_not_move_it(study):
    alone, both = lay_out(study.pruned_dag), lay_out(study.pruned_dag, study.full_dag)
    kept = both.nodes[both.nodes["kept"]]
    assert both.nodes.loc[~both.nodes["kept"], "row"].min() > kept["row"].max()
    np.testing.assert_allclose(kept.set_index("node")["row"].loc[alone.nodes["node"]], alone.nodes["row"])


def test_pruned_away_nodes_are_hidden_until_asked_for_and_called_ones_stand_out(study):
    layout = lay_out_study(study)
    plot = draw_network(layout)
    by_name = {trace.name: trace for trace in plot.data}
    assert by_name["pruned away"].visible is False and len(by_name["pruned away"].text) == (~layout.nodes["kept"]).sum()
    called = set(layout.nodes.loc[layout.nodes["called"] & layout.nodes["kept"], "node"])
    assert called and set(by_name["called"].text) == called
    assert by_name["called"].marker.line.width > by_name["hidden node, the fuller the heavier"].marker.line.width
    assert "weight" in by_name["called"].hovertext[0] and "called" in by_name["called"].hovertext[0]


def test_labels_are_placed_free_of_each_other_or_left_out():
    names = [f"NODE{number}" for number in range(6)]
    assert None not in place_labels([0.1, 0.5, 0.9], [0.1, 0.5, 0.9], names[:3])
    sides = place_labels([0.5] * 6, [0.5] * 6, names)
    placed = [side for side in sides if side is not None]
    assert sides[0] == "top center" and len(set(placed)) == len(placed) and None in sides
    crowded = [(0.5, 0.56), (0.5, 0.44), (0.56, 0.5)]
    assert place_labels([0.5], [0.5], ["NODE"], crowded) == ["middle left"]


def test_the_figures_for_a_paper_are_vector_and_pixel_files_and_the_same_every_time(study):
    layout = lay_out_study(study)
    files = as_files(paper_figures(study, layout))
    names = ["roc_OUT", "folds", "top_nodes_full_OUT", "top_nodes_pruned_OUT", "network"]
    assert sorted(files) == sorted(f"{name}.{kind}" for name in names for kind in ("pdf", "svg", "png"))
    assert all(files[f"{name}.pdf"].startswith(b"%PDF") for name in names)
    assert b"N000<" in files["network.svg"]  # names stay text that can be edited and searched
    assert as_files(paper_figures(study, layout)) == files


def test_every_figure_for_a_paper_shows_something(study, tmp_path):
    for name, content in as_files(paper_figures(study, lay_out_study(study))).items():
        if name.endswith(".png"):
            (tmp_path / name).write_bytes(content)
            pixels = imread(tmp_path / name)
            assert min(pixels.shape[:2]) > 300 and pixels[..., :3].std() > 0.01, name


def test_the_roc_figure_draws_sklearns_mean_curve_and_the_arms_score(study):
    arm = study.arms[0]
    axes = draw_roc((arm,), "OUT").axes[0]
    line = next(line for line in axes.lines if line.get_label().startswith("full"))
    assert f"{arm.fold_metrics['roc_auc'].mean():.3f}" in line.get_label()
    area = np.trapezoid(line.get_ydata(), line.get_xdata())
    assert area == pytest.approx(arm.fold_metrics["roc_auc"].mean(), abs=0.01)


def test_the_roc_figure_of_several_outputs_draws_each_and_names_those_predicted_worst():
    outputs = tuple(f"OUT{number}" for number in range(10))
    arm = make_study(n_hidden=12, n_genes=20, outputs=outputs, n_cells=60).arms[0]
    axes = draw_roc_of_outputs(arm).axes[0]
    means = arm.fold_metrics[[f"roc_auc_{name}" for name in outputs]].mean()
    assert len(axes.lines) == 1 + len(outputs)
    areas = [np.trapezoid(line.get_ydata(), line.get_xdata()) for line in axes.lines[1:]]
    np.testing.assert_allclose(areas, means, atol=0.03)
    named = {text.get_text() for text in axes.get_legend().get_texts()} - {"guessing"}
    worst = means.sort_values().index[:8].str.removeprefix("roc_auc_")
    assert named == {f"{name} {means[f'roc_auc_{name}']:.3f}" for name in worst}
    assert f"{arm.fold_metrics['roc_auc'].mean():.3f}" in axes.get_title()
    looks = {(line.get_color(), line.get_linestyle()) for line in axes.lines[1:]}
    assert len(looks) == len(outputs)


def test_a_name_between_dollar_signs_is_drawn_as_it_is(study):
    dag = make_dag(5, 10, 1, ("$\\frac$",))
    strange = replace(study, pruned_dag=dag, full_dag=dag, interpretations=(), arms=())
    assert as_files(paper_figures(strange, lay_out_study(strange)))["network.pdf"]


def test_names_of_outputs_become_names_of_files_that_stay_apart():
    assert file_name("roc_TCR-1") == "roc_TCR-1"
    names = ["roc_../../x", "roc_.._.._x", "roc_A/B", "roc_A_B", "roc_A B", "roc_α"]
    legal = [file_name(name) for name in names]
    assert len(set(legal)) == len(names)
    assert not any(letter in name for name in legal for letter in "/\\. ")
