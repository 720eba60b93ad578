"""Where the arms stand among the controls, and how small a network may be, by the interval that decides the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kpnn.evaluation import Verdict, interval
from kpnn.reporting.paired import compare_arms
from kpnn.reporting.study import ArmTables, Study

SIZE_PATH = "size_path"
"""The kind of the networks of the size curve; they are not controls to stand among."""

_NAMES = {
    "rewired": ("network from a rewired PKN", "networks from rewired PKNs"),
    "alternative": ("other optimal DAG", "other optimal DAGs"),
    "permuted_genes": ("network with shuffled genes", "networks with shuffled genes"),
    "permuted_labels": ("network with shuffled labels", "networks with shuffled labels"),
    "logistic": ("logistic regression", "logistic regressions"),
    "gradient_boosting": ("gradient boosting", "gradient boostings"),
    "tf_activity": ("logistic regression on regulators' activities", "logistic regressions on regulators' activities"),
    "dense": ("the fully connected network", "fully connected networks"),
}
_STANDING = {
    Verdict.BETTER: "better than",
    Verdict.AS_WELL: "as well as",
    Verdict.NOT_WORSE: "not worse than",
    Verdict.WORSE: "worse than",
    Verdict.CANNOT_TELL: "perhaps no worse than",
}
_AS_GOOD = (Verdict.BETTER, Verdict.AS_WELL, Verdict.NOT_WORSE)

_CONTROL_COLUMNS = ["control", "replicate", "n_parameters", "roc_auc", "lower", "upper", "arm", "difference"]
_CONTROL_COLUMNS += ["difference_lower", "difference_upper", "p_value", "verdict"]
_CURVE_COLUMNS = ["network", "n_edges", "n_parameters", "roc_auc", "lower", "upper", "difference", "difference_lower"]
_CURVE_COLUMNS += ["difference_upper", "verdict"]


def controls_table(study: Study, margin: float = 0.01) -> pd.DataFrame:
    """Every control beside every arm.

    Args:
        study: the study.
        margin: differences in ROC-AUC within +-margin do not matter.

    Returns:
        A row per control, replicate and arm: its `roc_auc` with the 95 % interval `lower` to `upper`; `difference` of
        the arm minus the control with its interval, `p_value`, and the arm's `verdict`.
    """
    rows = []
    for control in study.controls:
        if control.kind == SIZE_PATH:
            continue
        of_control = _own_score(control.tables, study.groups)
        for arm in study.arms:
            comparison = compare_arms(arm, control.tables, study.groups, margin).comparison
            if comparison is None:
                continue
            found = comparison.interval
            difference = {"difference": found.estimate, "difference_lower": found.lower}
            difference |= {"difference_upper": found.upper, "p_value": comparison.p_value}
            rows.append(
                {"control": control.kind, "replicate": control.replicate}
                | {"n_parameters": control.tables.size("n_parameters")}
                | of_control
                | {"arm": arm.name}
                | difference
                | {"verdict": Verdict.of_control(found, margin).value}
            )
    return pd.DataFrame(rows, columns=_CONTROL_COLUMNS)


def standing_in_words(controls: pd.DataFrame) -> tuple[str, ...]:
    """Where each arm stands among the controls, in one sentence for arms that stand alike.

    Args:
        controls: see `controls_table`.
    """
    if not len(controls):
        return ()
    told: dict[str, list[str]] = {}
    for arm, of_arm in controls.groupby("arm", sort=False):
        parts = [_kind_in_words(str(kind), rows) for kind, rows in of_arm.groupby("control", sort=False)]
        told.setdefault(_listed(parts), []).append(f"`{arm}`")
    return tuple(
        f"Among the controls {_listed(arms)} {'predicts' if len(arms) == 1 else 'predict'} {where}."
        for where, arms in told.items()
    )


def _kind_in_words(kind: str, rows: pd.DataFrame) -> str:
    one, several = _NAMES.get(kind, (kind.replace("_", " "), kind.replace("_", " ")))
    auc = f"ROC-AUC {rows['roc_auc'].mean():.3f}"
    counts = Counter(rows["verdict"])
    in_order = [(verdict, counts[verdict.value]) for verdict in Verdict if counts[verdict.value]]
    if len(rows) == 1:
        return f"{_STANDING[in_order[0][0]]} {one} ({auc})"
    total = len(rows)
    told = [f"{_STANDING[verdict]} {'all' if count == total else count}" for verdict, count in in_order]
    return f"{_listed(told)} of the {total} {several} ({auc} on average)".replace(f"all of the {total}", f"all {total}")


def size_curve(study: Study, margin: float = 0.01) -> pd.DataFrame:
    """ROC-AUC against size, from the smallest DAG to the full one.

    Args:
        study: the study; it has a curve where the DAGs of the size path were trained.
        margin: differences in ROC-AUC within +-margin do not matter.

    Returns:
        A row per network, the smallest first: its `roc_auc` with the 95 % interval `lower` to `upper`; `difference` of
        it minus the arm `full` with its interval, and `verdict`; without a verdict for `full` itself. Empty where
        there is no curve.
    """
    full = study.arm("full")
    steps = [control.tables for control in study.controls if control.kind == SIZE_PATH]
    if full is None or not steps:
        return pd.DataFrame(columns=_CURVE_COLUMNS)
    rows = [_curve_row(arm, full, study.groups, margin) for arm in (*steps, full)]
    return pd.DataFrame(rows, columns=_CURVE_COLUMNS).sort_values("n_parameters", kind="stable", ignore_index=True)


def size_in_words(curve: pd.DataFrame) -> tuple[str, ...]:
    """The sentence that says how small a network may be; none where there is no curve.

    Args:
        curve: see `size_curve`.
    """
    if not len(curve):
        return ()
    full = curve[curve["verdict"].isna()].iloc[0]
    as_good = curve[curve["verdict"].isin([verdict.value for verdict in _AS_GOOD])]
    smaller = as_good[as_good["n_parameters"] < full["n_parameters"]]
    if not len(smaller):
        return (f"No network smaller than `full` ({full['n_parameters']:,} parameters) is known to be as good.",)
    best = smaller.iloc[0]
    return (
        f"The smallest network as good as the full one has {best['n_parameters']:,} parameters (of "
        f"{full['n_parameters']:,}): {best['verdict']}, ROC-AUC {best['roc_auc']:.3f} against {full['roc_auc']:.3f}.",
    )


def _curve_row(arm: ArmTables, full: ArmTables, groups: pd.Series | None, margin: float) -> dict[str, object]:
    row: dict[str, object] = {"network": arm.name, **{size: arm.size(size) for size in ("n_edges", "n_parameters")}}
    row |= _own_score(arm, groups)
    comparison = None if arm is full else compare_arms(arm, full, groups, margin).comparison
    if comparison is None:
        return row
    found = comparison.interval
    difference = {"difference": found.estimate, "difference_lower": found.lower, "difference_upper": found.upper}
    return row | difference | {"verdict": comparison.verdict.value}


def _own_score(arm: ArmTables, groups: pd.Series | None) -> dict[str, float]:
    scores = arm.scores()
    if not np.isfinite(scores.fold_values).any():
        return dict.fromkeys(("roc_auc", "lower", "upper"), float("nan"))
    found = interval(scores, groups=groups)
    return {"roc_auc": scores.mean, "lower": found.lower, "upper": found.upper}


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
