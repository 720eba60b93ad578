"""The library in other people's conventions: scikit-learn's estimators, scverse's functions on AnnData."""

import pickle

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils import estimator_checks

import kpnn
from kpnn.errors import CellsError, ModelError
from kpnn.sklearn import KPNNClassifier
from kpnn.training.settings import FitSettings

EDGES = pd.DataFrame(
    [("class", "A"), ("class", "B"), ("A", "TF1"), ("B", "TF2"), ("B", "TF1")]
    + [("TF1", f"g{i}") for i in range(5)]
    + [("TF2", f"g{i}_gene") for i in range(4, 10)],
    columns=["parent", "child"],
)
QUICK = {"ensemble": 2, "max_epochs": 40, "recipes": False, "hyperparameters": {"learning_rate": 0.03}}


def draw(n_classes, seed=0):
    """Cells x 12 genes; each class raises three genes of its own; two genes are in no network."""
    rng = np.random.default_rng(seed)
    codes = np.arange(120) % n_classes
    X = rng.poisson(1.0, size=(120, 12)).astype(np.float32)
    for code in range(n_classes):
        X[codes == code, 3 * code : 3 * code + 3] += rng.poisson(3.0, size=((codes == code).sum(), 3))
    labels = np.array(["ctrl", "stim", "other"])[codes]
    return pd.DataFrame(np.log1p(X), [f"c{i}" for i in range(120)], [f"g{i}" for i in range(12)]), labels


@pytest.fixture(scope="module")
def two():
    return draw(2)


@pytest.fixture(scope="module")
def fitted(two):
    return KPNNClassifier(EDGES, **QUICK).fit(*two)


def test_a_classifier_takes_what_is_left_out_from_the_settings_of_a_fit():
    stated = KPNNClassifier().get_params()
    assert {name: stated[name] for name in ("ensemble", "max_epochs", "patience")} == FitSettings().model_dump(
        include={"ensemble", "max_epochs", "patience"}
    )


def test_strings_are_classes_and_the_selected_dag_is_trained(two, fitted):
    X, y = two
    assert fitted.classes_.tolist() == ["ctrl", "stim"]
    assert fitted.selection_.status == "optimal"
    assert set(fitted.dag_.outputs) == {"class"}
    assert len(fitted.dag_.neurons) < 5
    assert fitted.score(X, y) > 0.9
    other = draw(2, seed=1)
    assert fitted.score(*other) > 0.85


def test_a_matrix_gives_what_a_table_does(two, fitted):
    X, y = two
    matrix = csr_matrix(X.to_numpy())
    plain = KPNNClassifier(EDGES, genes=list(X.columns), **QUICK).fit(matrix, y)
    np.testing.assert_array_equal(plain.predict_proba(matrix), fitted.predict_proba(X))


def test_three_classes_exclude_each_other():
    X, y = draw(3)
    fitted = KPNNClassifier(EDGES, prune=False, **QUICK).fit(X, y)
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (120, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert set(fitted.dag_.outputs) == {"ctrl", "other", "stim"}
    assert fitted.score(X, y) > 0.8


def test_the_selected_dag_of_three_classes_does_not_lead_all_of_them_through_one_neuron():
    X, y = draw(3)
    tops = [(root, top) for root in ("ctrl", "other", "stim") for top in "AB"]
    edges = pd.concat([pd.DataFrame(tops, columns=["parent", "child"]), EDGES[EDGES["parent"] != "class"]])
    fitted = KPNNClassifier(edges, **{**QUICK, "max_epochs": 1}).fit(X, y)
    assert fitted.selection_.dag.hidden == ("B", "TF1", "TF2")
    assert fitted.dag_.hidden == ("A", "B", "TF1", "TF2")
    assert len(fitted.dag_.edges) == len(fitted.selection_.dag.edges) + 5


def test_a_pickle_predicts_the_same(two, fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(two[0]), fitted.predict_proba(two[0]))


def test_activations_speak_for_the_class(two, fitted):
    X, y = two
    found = fitted.activations(X)
    assert list(found.columns) == list(fitted.dag_.neurons)
    assert found.index.equals(X.index)
    assert found.loc[y == "stim"].mean().gt(found.loc[y == "ctrl"].mean()).all()


def test_it_stands_in_pipelines_searches_and_cross_validation(two):
    X, y = two
    line = make_pipeline(MaxAbsScaler(), KPNNClassifier(EDGES, genes=list(X.columns), **QUICK))
    held_out = cross_val_predict(line, X, y, cv=2, method="predict_proba")
    assert ((held_out[:, 1] > 0.5) == (y == "stim")).mean() > 0.8
    search = GridSearchCV(KPNNClassifier(EDGES, **QUICK), {"prune": [True, False]}, cv=2).fit(X, y)
    assert search.best_params_["prune"] in (True, False)


def test_groups_stay_together_when_networks_are_stopped(two):
    X, y = two
    donors = np.array([f"d{i // 2 % 6}" for i in range(120)])
    assert KPNNClassifier(EDGES, **QUICK).fit(X, y, groups=donors).score(X, y) > 0.8
    with pytest.raises(ValueError, match="a class is in one group only"):
        KPNNClassifier(EDGES, **QUICK).fit(X, y, groups=y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": EDGES.assign(child=EDGES["child"].str.upper())}, r"none of the 12 columns .* is a leaf"),
        ({"network": EDGES.assign(child=EDGES["child"].str.upper())}, "would be found if case were ignored"),
        ({"network": "edges.csv"}, "must be a table of edges .*read_edges reads one from a file such as edges.csv"),
        ({"network": EDGES.to_numpy().tolist()}, "network must be a table of edges with columns parent and child"),
        (
            {"network": EDGES.set_axis(["source", "target"], axis=1)},
            r"has no column parent, child \(found: source, targ",
        ),
        ({"genes": ["a", "b"]}, "2 genes are named, but X has 12 columns"),
        ({"genes": ["g0"] * 12}, "gene g0 occurs more than once"),
    ],
)
def test_what_does_not_fit_is_said(two, change, message):
    with pytest.raises(ValueError, match=message):
        KPNNClassifier(**{"network": EDGES, **QUICK, **change}).fit(*two)


@pytest.mark.parametrize(
    "check",
    [
        "check_no_attributes_set_in_init",
        "check_estimators_unfitted",
        "check_dict_unchanged",
        "check_n_features_in",
        "check_estimators_dtypes",
        "check_supervised_y_2d",
        "check_requires_y_none",
        "check_classifiers_one_label",
        "check_estimators_nan_inf",
        "check_parameters_default_constructible",
    ],
)
def test_scikit_learns_own_checks(check):
    """All but the array API's pass; those that train most are left to a longer run: check_estimator(...)."""
    quick = KPNNClassifier(**{**QUICK, "max_epochs": 5})
    getattr(estimator_checks, check)("KPNNClassifier", clone(quick))


def test_without_knowledge_every_gene_leads_to_the_class(two):
    X, y = two
    plain = KPNNClassifier(**QUICK).fit(X, y)
    assert plain.dag_.hidden == ()
    assert plain.score(X, y) > 0.9


@pytest.fixture
def adata():
    X, y = draw(2)
    obs = pd.DataFrame({"condition": pd.Categorical(y), "donor": [f"d{i // 2 % 6}" for i in range(120)]}, X.index)
    return AnnData(csr_matrix(X.to_numpy()), obs, pd.DataFrame(index=X.columns))


def test_scverses_functions_write_where_scanpy_looks(adata):
    adata.obs.loc["c7", "condition"] = np.nan
    classifier = kpnn.tl.fit(adata, EDGES, label="condition", group="donor", **QUICK)
    new = adata[:, ::-1].copy()  # genes in any order
    kpnn.tl.predict(new, classifier)
    kpnn.tl.activations(new, classifier)
    assert new.obs["kpnn"].cat.categories.tolist() == ["ctrl", "stim"]
    labelled = new.obs["condition"].notna()
    assert (new.obs["kpnn"] == new.obs["condition"])[labelled].mean() > 0.9
    assert new.obs["kpnn_stim"].between(0, 1).all()
    assert new.obsm["X_kpnn"].shape == (120, len(new.uns["kpnn"]["nodes"]))
    weights = kpnn.tl.node_weights(new, classifier)
    assert list(weights.columns) == ["node", "output", "weight"]
    assert weights["weight"].abs().is_monotonic_decreasing
    assert len(kpnn.pl.nodes(weights).data[0].x) == len(weights)
    assert kpnn.pl.network(classifier).data
    counts = kpnn.pl.confusion(new, "condition").data[0].customdata[..., 0]
    assert counts.sum() == 119


def test_a_positive_class_stands_against_all_others():
    X, y = draw(3)
    cells = AnnData(X, obs=pd.DataFrame({"kind": y}, X.index))
    cells.layers["log"] = cells.X
    classifier = kpnn.tl.fit(cells, EDGES, label="kind", positive="ctrl", layer="log", **QUICK)
    kpnn.tl.predict(cells, classifier, layer="log", key_added="k")
    assert cells.obs["k"].cat.categories.tolist() == ["not ctrl", "ctrl"]
    assert ((cells.obs["k_ctrl"] > 0.5) == (y == "ctrl")).mean() > 0.85


def test_a_class_may_be_a_number():
    X, y = draw(3)
    cells = AnnData(X, obs=pd.DataFrame({"cluster": np.where(y == "ctrl", 7, 1)}, X.index))
    assert kpnn.tl.fit(cells, EDGES, label="cluster", positive=7, **QUICK).classes_.tolist() == [" not 7", "7"]


def test_what_is_not_there_is_said_with_near_names(adata):
    with pytest.raises(CellsError, match=r"obs has no column 'Condition'; .*condition"):
        kpnn.tl.fit(adata, EDGES, label="Condition")
    with pytest.raises(CellsError, match="Stim is not among"):
        kpnn.tl.fit(adata, EDGES, label="condition", positive="Stim")
    with pytest.raises(CellsError, match="no layer 'logs'"):
        kpnn.tl.fit(adata, EDGES, label="condition", layer="logs")
    classifier = kpnn.tl.fit(adata, EDGES, label="condition", **QUICK)
    with pytest.raises(ModelError, match="genes are not among"):
        kpnn.tl.predict(adata[:, :5].copy(), classifier)


def test_groups_that_keep_nothing_apart_are_refused_before_anything_is_trained(adata):
    with pytest.raises(CellsError, match="group='condition' is the column of the classes"):
        kpnn.tl.fit(adata, EDGES, label="condition", group="condition")
    with pytest.raises(CellsError, match="all cells are of one batch"):
        kpnn.tl.fit(AnnData(adata.X, adata.obs.assign(batch="b1"), adata.var), EDGES, label="condition", group="batch")


def test_labels_mean_what_they_mean_in_a_study(adata):
    truth = (adata.obs["condition"] == "stim").astype(float)
    adata.obs["treated"] = truth.where(np.arange(120) > 9)
    adata.obs["text"] = np.where(np.arange(120) > 9, np.where(truth == 1, " yes", "no"), "N/A")
    for label, classes in (("treated", ["0", "1"]), ("text", ["no", "yes"])):
        classifier = kpnn.tl.fit(adata, EDGES, label=label, **QUICK)
        assert classifier.classes_.tolist() == classes
    kpnn.tl.predict(adata, classifier)
    assert kpnn.pl.confusion(adata, "text").data[0].customdata[..., 0].sum() == 110


def test_plots_say_what_they_draw(adata):
    with pytest.raises(CellsError, match=r"nodes\(kpnn\.tl\.node_weights\(adata, classifier\)\)"):
        kpnn.pl.nodes(adata)
    with pytest.raises(CellsError, match=r"network\(classifier\)"):
        kpnn.pl.network(adata)


def test_counts_are_warned_of(adata, caplog):
    adata.X = csr_matrix(np.expm1(adata.X.toarray()).round())
    kpnn.tl.fit(adata, EDGES, label="condition", **QUICK)
    assert "look like counts" in caplog.text


def test_a_classifier_that_is_not_fitted_is_said_to_be_so(adata):
    for face in (kpnn.tl.predict, kpnn.tl.activations, kpnn.tl.node_weights):
        with pytest.raises(NotFittedError):
            face(adata, KPNNClassifier(EDGES))
    with pytest.raises(NotFittedError):
        kpnn.pl.network(KPNNClassifier(EDGES))
