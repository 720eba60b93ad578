"""Several outputs: each by itself, the worst by name, and confusions where they exclude each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fabricated import make_study
from scipy.special import softmax

from kpnn.evaluation import score
from kpnn.pkn import Dag, Pkn, inputs_per_output
from kpnn.reporting import answer, comparison_table, write_report
from kpnn.reporting.figures.classes import confusion_figure
from kpnn.reporting.figures.paper import as_files, paper_figures
from kpnn.reporting.outputs import base_metric, differences_table, outputs_table
from kpnn.reporting.sections import classes_section
from kpnn.reporting.terminal import comparison_lines
from kpnn.training.results import wide_predictions

CLASSES = ("B_cell", "CD4+/CD25 T Reg", "<i>Mono&cyte")


def as_one_of_k(arm, seed, weak):
    """The arm with a softmax over its outputs, one of them predicted badly."""
    rng = np.random.default_rng(seed)
    rows = arm.predictions.pivot(index=["repeat", "fold", "barcode"], columns="output", values="label")
    classes = np.random.default_rng(7).permutation(np.arange(len(rows)) % 3)
    labels = pd.DataFrame(np.eye(3, dtype=int)[classes], index=rows.index, columns=list(CLASSES))
    logits = rng.normal(size=labels.shape) + labels.to_numpy() * np.where(np.array(CLASSES) == weak, 0.5, 3.0)
    p = pd.DataFrame(softmax(logits, axis=1), index=labels.index, columns=list(CLASSES))
    long = labels.rename_axis(columns="output").stack().rename("label").to_frame()
    long["probability"] = p.rename_axis(columns="output").stack()
    predictions, metrics = long.reset_index(), []
    for fold, of_fold in predictions.groupby("fold"):
        y, probabilities, outputs, _ = wide_predictions(of_fold)
        own = arm.fold_metrics[arm.fold_metrics["fold"] == fold].iloc[0].to_dict()
        metrics.append(own | score(y, probabilities, outputs, one_of_k=True))
    return replace(arm, predictions=predictions, fold_metrics=pd.DataFrame(metrics))


@pytest.fixture(scope="module")
def study():
    made = make_study(outputs=CLASSES, n_hidden=8, n_genes=12, n_cells=150, n_folds=3)
    full, pruned = made.arms
    arms = (as_one_of_k(full, 1, "B_cell"), as_one_of_k(pruned, 2, "CD4+/CD25 T Reg"))
    return replace(made, arms=arms, controls=())


@pytest.fixture(scope="module")
def report(study):
    return write_report(study)


def test_every_output_has_its_rows_below_those_of_all(study):
    table = comparison_table(study.arms).set_index(["arm", "metric"])["mean"]
    for arm in study.arms:
        of_all = [name for _, name in table.loc[[arm.name]].index if not base_metric(name)[1]]
        assert of_all[2:4] == ["accuracy", "balanced_accuracy"]
        for name in ("roc_auc", *(f"roc_auc_{output}" for output in CLASSES), "accuracy", "log_loss", "recall_B_cell"):
            assert table[arm.name, name] == pytest.approx(arm.fold_metrics[name].mean())
        assert (arm.name, "accuracy_B_cell") not in table.index
    assert base_metric("balanced_accuracy") == ("balanced_accuracy", "")
    assert base_metric("log_loss_log_loss") == ("log_loss", "log_loss")


def test_the_worst_output_of_each_arm_and_what_it_is_taken_for_are_named(study):
    found = answer(study)
    worst, confused = found.of_outputs
    assert "`CD4+/CD25 T Reg` by `pruned`" in worst and "`B_cell` by `full`" in worst
    assert confused.startswith("`pruned` most often takes `CD4+/CD25 T Reg` for")
    assert worst in found.words
    own = study.arms[1].fold_metrics["roc_auc_CD4+/CD25 T Reg"].mean()
    assert f"{own:.3f}" in worst
    same = answer(replace(study, arms=(study.arms[0], replace(study.arms[0], name="pruned"))))
    assert same.of_outputs[0].startswith("The output that is predicted worst is `B_cell`: ROC-AUC")


def test_each_output_is_compared_and_corrected_for_their_number(study, report):
    found = report.answer
    table = report.tables["output_differences"].set_index("output")
    for one in found.comparison.per_output:
        assert table.loc[one.output, "p_value"] == one.p_value
        assert found.metrics[f"roc_auc_difference_{one.output}"] == one.interval.estimate
    difference = (
        study.arms[1].fold_metrics["roc_auc_B_cell"].mean() - study.arms[0].fold_metrics["roc_auc_B_cell"].mean()
    )
    assert table.loc["B_cell", "difference"] == pytest.approx(difference)


def small(outputs):
    return replace(make_study(outputs=outputs, n_hidden=8, n_genes=12, n_cells=60, n_folds=2), controls=())


def test_one_output_has_none_of_this():
    study = small(("OUT",))
    found = answer(study)
    assert found.of_outputs == () and not len(differences_table(found.comparison))
    assert not len(outputs_table(study.arms)) and classes_section(study) == ()
    table = comparison_table(study.arms)
    assert list(table["metric"].unique()) == [
        "roc_auc", "average_precision", "accuracy", "precision", "recall", "f1", "brier", "log_loss"
    ]  # fmt: skip


def test_questions_of_their_own_have_scores_of_each_and_no_confusions():
    study = small(("A", "B"))
    assert set(outputs_table(study.arms)["output"]) == {"A", "B"}
    assert classes_section(study) == ()
    [sentence] = answer(study).of_outputs
    assert "predicted worst" in sentence


def test_the_confusion_matrix_shows_shares_and_counts_by_name(study, report):
    figure = next(one for one in report.figures if one.name == "confusions_pruned")
    [heat] = figure.plot.data
    np.testing.assert_allclose(np.asarray(heat.z).sum(axis=1), 1)
    assert np.asarray(heat.customdata)[..., 0].sum() == 150
    rows = study.arms[1].predictions
    calls = rows.loc[rows.groupby("barcode")["probability"].idxmax()].set_index("barcode")["output"]
    truth = rows[rows["label"] == 1].set_index("barcode")["output"]
    taken = ((truth == "CD4+/CD25 T Reg") & (calls.loc[truth.index] == "B_cell")).sum()
    first, second = list(heat.y).index("CD4+/CD25 T Reg"), list(heat.x).index("B_cell")
    assert np.asarray(heat.customdata)[first, second, 0] == taken
    assert "&lt;i&gt;Mono&amp;cyte" in heat.x
    pairs = report.tables["confusions"]
    assert pairs.loc[pairs["arm"] == "pruned", "class"].iloc[0] == "CD4+/CD25 T Reg"
    assert confusion_figure(make_study().arms[0]) is None


def test_a_paper_gets_the_confusion_matrix_of_each_arm(study):
    figures = {name: canvas for name, canvas in paper_figures(study, None).items() if name.startswith("confusions")}
    assert set(figures) == {"confusions_full", "confusions_pruned"}
    assert as_files(figures)["confusions_full.pdf"].startswith(b"%PDF")


def test_the_terminal_shows_the_roc_auc_of_each_output(study):
    lines = comparison_lines(comparison_table(study.arms))
    assert sum("ROC-AUC" in line for line in lines) == 4
    assert any(line.startswith("ROC-AUC: CD4+/CD25 T Reg") for line in lines)
    assert not any("recall:" in line for line in lines)
    assert any(line.startswith("balanced accuracy") for line in lines)


def test_the_table_of_outputs_counts_the_cells_of_each_class(study):
    table = outputs_table(study.arms)
    assert list(table["output"]) == [name for name in study.arms[0].outputs for _ in range(2)]
    assert table.groupby("arm")["n_cells"].sum().eq(150).all()


def test_genes_below_each_output_are_counted_in_pkn_and_dags(report):
    edges = pd.DataFrame(
        [("A", "H"), ("B", "H2"), ("H", "G1_gene"), ("H", "G2_gene"), ("H2", "G2_gene")], columns=["parent", "child"]
    )
    dag = Dag.from_edges(edges, outputs=["B", "A"])
    assert inputs_per_output(dag) == {"B": 1, "A": 2}
    assert inputs_per_output(Pkn.from_edges(edges)) == {"A": 2, "B": 1}
    table = report.tables["genes_per_output"]
    assert list(table.columns) == ["output", "PKN, measured genes", "full", "pruned"]
    assert set(table["output"]) == set(CLASSES)
