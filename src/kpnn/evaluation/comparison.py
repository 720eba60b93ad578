"""Does one arm predict as well as another? One interval decides, and the verdict says what it says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from kpnn.errors import SettingsError, some_names
from kpnn.evaluation.intervals import NO_DIFFERENCE, Groups, Interval, difference_interval
from kpnn.evaluation.scores import ArmScores


class Verdict(StrEnum):
    """What an interval (lower, upper) of candidate minus reference says, given a margin m.

    The first row that holds is the verdict.

    | verdict | where |
    |---|---|
    | `WORSE` | upper < 0, even where -m < lower |
    | `AS_WELL` | -m < lower and upper < m: any difference is smaller than the margin |
    | `BETTER` | 0 < lower |
    | `NOT_WORSE` | -m < lower: it may be better, and is not worse by more than the margin |
    | `CANNOT_TELL` | lower <= -m and 0 <= upper: it may be worse by more than the margin, or not worse |

    A loss is said however small it is. A gain that is sure to be smaller than the margin is none: the same arms,
    trained again, would be called better one time and as good the other.

    Examples:
        >>> from kpnn.evaluation import Interval
        >>> parts = {"se_cells": 0.0028, "se_training": 0.001, "training_from": "repeats"}
        >>> difference = Interval(0.002, -0.004, 0.008, standard_error=0.003, degrees_of_freedom=50.0, **parts)
        >>> Verdict.of(difference, margin=0.01).value
        'as well (within the margin)'
        >>> Verdict.of(difference, margin=0.001).value
        'cannot tell'
    """

    BETTER = "better"
    AS_WELL = "as well (within the margin)"
    NOT_WORSE = "not worse by more than the margin"
    WORSE = "worse"
    CANNOT_TELL = "cannot tell"

    @classmethod
    def of(cls, interval: Interval, margin: float) -> Verdict:
        """The verdict of an interval of candidate minus reference.

        Args:
            interval: of candidate minus reference.
            margin: differences within +-margin do not matter; above 0.
        """
        if interval.upper < 0:
            return cls.WORSE
        if -margin < interval.lower and interval.upper < margin:
            return cls.AS_WELL
        if interval.lower > 0:
            return cls.BETTER
        return cls.NOT_WORSE if interval.lower > -margin else cls.CANNOT_TELL

    @classmethod
    def of_control(cls, interval: Interval, margin: float) -> Verdict:
        """The verdict of an arm against a control, where a difference below the margin is one: it is not chance.

        Args:
            interval: of arm minus control.
            margin: as for `of`.
        """
        return cls.BETTER if interval.lower > 0 else cls.of(interval, margin)


@dataclass(frozen=True)
class OutputDifference:
    """One of several outputs.

    Attributes:
        output: its name.
        interval: of candidate minus reference, for this output alone.
        p_value: two-sided, against no difference, after Holm's correction over the outputs.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from kpnn.evaluation import ArmScores, compare
        >>> rng = np.random.default_rng(0)
        >>> cells = pd.DataFrame({"repeat": 0, "fold": np.arange(400) % 4, "barcode": [f"c{i}" for i in range(400)]})
        >>> cells = cells.assign(output="TCR", label=rng.integers(0, 2, 400))
        >>> signal = cells["label"] + rng.normal(0, 1, 400)
        >>> full = [cells.assign(output=name, probability=1 / (1 + np.exp(-signal))) for name in ("CD4", "CD8")]
        >>> noisy = 1 / (1 + np.exp(-signal - rng.normal(0, 3, 400)))
        >>> arms = {"pruned": [full[0], full[1].assign(probability=noisy)], "full": full}
        >>> pruned, full = (ArmScores.from_predictions(arm, pd.concat(tables)) for arm, tables in arms.items())
        >>> [(one.output, round(one.p_value, 3)) for one in compare(pruned, full).per_output]
        [('CD4', 1.0), ('CD8', 0.0)]
    """

    output: str
    interval: Interval
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """What can be said about two arms.

    Attributes:
        reference: name of the arm compared against (`full`).
        candidate: name of the arm in question (`pruned`).
        reference_roc_auc: its mean over folds, repeats and outputs.
        candidate_roc_auc: likewise.
        interval: of candidate minus reference.
        p_value: two-sided, against no difference.
        margin: differences within +-margin do not matter.
        confidence: of the interval.
        verdict: what the interval says.
        sentence: the same in words, with the figures.
        per_output: each output by itself, where there are several and the arms are not the same network.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from kpnn.evaluation import ArmScores, compare
        >>> rng = np.random.default_rng(0)
        >>> cells = pd.DataFrame({"repeat": 0, "fold": np.arange(400) % 4, "barcode": [f"c{i}" for i in range(400)]})
        >>> cells = cells.assign(output="TCR", label=rng.integers(0, 2, 400))
        >>> signal = cells["label"] + rng.normal(0, 1, 400)
        >>> full = ArmScores.from_predictions("full", cells.assign(probability=1 / (1 + np.exp(-signal))))
        >>> nearly = 1 / (1 + np.exp(-signal - rng.normal(0, 0.01, 400)))
        >>> found = compare(ArmScores.from_predictions("pruned", cells.assign(probability=nearly)), full, margin=0.02)
        >>> found.verdict.value, found.equivalent, found.not_worse
        ('as well (within the margin)', True, True)
    """

    reference: str
    candidate: str
    reference_roc_auc: float
    candidate_roc_auc: float
    interval: Interval
    p_value: float
    margin: float
    confidence: float
    verdict: Verdict
    sentence: str
    per_output: tuple[OutputDifference, ...] = ()

    @property
    def equivalent(self) -> bool:
        """Whether the whole interval lies within the margin (which may go with `better` or `worse`)."""
        return -self.margin < self.interval.lower and self.interval.upper < self.margin

    @property
    def not_worse(self) -> bool:
        """Whether the candidate is not worse by more than the margin."""
        return self.interval.lower > -self.margin

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return asdict(self) | {
            "verdict": self.verdict.value,
            "equivalent": self.equivalent,
            "not_worse": self.not_worse,
        }


def compare(
    candidate: ArmScores,
    reference: ArmScores,
    *,
    groups: Groups | None = None,
    margin: float = 0.01,
    confidence: float = 0.95,
    one_network: bool = False,
) -> Comparison:
    """Compares two arms' ROC-AUC on the same folds.

    Args:
        candidate: scores of the arm in question.
        reference: of the arm compared against.
        groups: donor or sample of each cell, where cells are not independent.
        margin: differences within +-margin do not matter; set it before looking.
        confidence: how often such intervals hold the expected difference.
        one_network: whether the arms are the same network, trained alike: they then predict alike whatever the cells.

    Returns:
        The difference with its interval, the verdict, and the answer in a sentence.

    Raises:
        SettingsError: the arms are not scored by the ROC-AUC, have other outputs, folds or cells, or no fold has a
            score.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> cells = pd.DataFrame({"repeat": 0, "fold": np.arange(400) % 4, "barcode": [f"c{i}" for i in range(400)]})
        >>> cells = cells.assign(output="TCR", label=rng.integers(0, 2, 400))
        >>> signal = cells["label"] + rng.normal(0, 1, 400)
        >>> full = ArmScores.from_predictions("full", cells.assign(probability=1 / (1 + np.exp(-signal))))
        >>> noisy = 1 / (1 + np.exp(-signal - rng.normal(0, 3, 400)))
        >>> compare(ArmScores.from_predictions("noisy", cells.assign(probability=noisy)), full).verdict.value
        'worse'
    """
    if candidate.metric != "roc_auc":
        raise SettingsError(f"arms are compared by their ROC-AUC, and these are scored by {candidate.metric}")
    per_output: tuple[OutputDifference, ...] = ()
    if one_network:
        found = NO_DIFFERENCE
        sentence = (
            f"`{candidate.arm}` and `{reference.arm}` are the same network, so they predict alike: ROC-AUC "
            f"{candidate.mean:.3f}."
        )
    else:
        found = difference_interval(candidate, reference, groups=groups, confidence=confidence)
        if len(candidate.outputs) > 1:
            per_output = _per_output(candidate, reference, groups, confidence)
        sentence = (
            f"{verdict_in_words(candidate.arm, reference.arm, found, margin)}: ROC-AUC {candidate.mean:.3f} against "
            f"{reference.mean:.3f}, difference {found.estimate:+.3f}, {100 * confidence:g} % interval "
            f"{found.lower:+.3f} to {found.upper:+.3f}." + _outputs_in_words(per_output, confidence)
        )
    return Comparison(
        reference=reference.arm,
        candidate=candidate.arm,
        reference_roc_auc=reference.mean,
        candidate_roc_auc=candidate.mean,
        interval=found,
        p_value=found.p_value,
        margin=margin,
        confidence=confidence,
        verdict=Verdict.of(found, margin),
        sentence=sentence,
        per_output=per_output,
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's correction: p-values that may be compared with one level however many tests there are.

    Args:
        p_values: shape (n_tests,).

    Returns:
        Corrected p-values, shape (n_tests,), in the same order.

    Examples:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected


def verdict_in_words(candidate: str, reference: str, interval: Interval, margin: float) -> str:
    """The verdict as a clause, such as "`pruned` predicts as well as `full` (within the margin of 0.01)".

    Args:
        candidate: name of the arm in question.
        reference: of the arm compared against.
        interval: of candidate minus reference.
        margin: differences within +-margin do not matter.

    Returns:
        The clause, without a full stop.

    Examples:
        >>> from kpnn.evaluation import Interval
        >>> parts = {"se_cells": 0.0028, "se_training": 0.001, "training_from": "repeats"}
        >>> difference = Interval(0.002, -0.004, 0.008, standard_error=0.003, degrees_of_freedom=50.0, **parts)
        >>> verdict_in_words("pruned", "full", difference, margin=0.01)
        '`pruned` predicts as well as `full` (within the margin of 0.01)'
    """
    verdict = Verdict.of(interval, margin)
    if verdict is Verdict.BETTER:
        return f"`{candidate}` predicts better than `{reference}`" + _how_much(interval.lower, interval.upper, margin)
    if verdict is Verdict.WORSE:
        return f"`{candidate}` predicts worse than `{reference}`" + _how_much(-interval.upper, -interval.lower, margin)
    if verdict is Verdict.AS_WELL:
        little = "; better by a little" if interval.lower > 0 else ""
        return f"`{candidate}` predicts as well as `{reference}` (within the margin of {margin:g}{little})"
    if verdict is Verdict.NOT_WORSE:
        return f"`{candidate}` is not worse than `{reference}` by more than the margin of {margin:g}"
    return (
        f"These cells and folds cannot tell whether `{candidate}` predicts as well as `{reference}` (margin {margin:g})"
    )


def _how_much(least: float, most: float, margin: float) -> str:
    if most < margin:
        return f", by less than the margin of {margin:g}"
    return (
        f", by more than the margin of {margin:g}"
        if least > margin
        else f", perhaps by less than the margin of {margin:g}"
    )


def _per_output(
    candidate: ArmScores, reference: ArmScores, groups: Groups | None, confidence: float
) -> tuple[OutputDifference, ...]:
    scored = [
        name for name, values in zip(candidate.outputs, candidate.values.T, strict=True) if np.isfinite(values).any()
    ]
    intervals = [
        difference_interval(candidate, reference, groups=groups, confidence=confidence, output=name) for name in scored
    ]
    corrected = holm(np.array([found.p_value for found in intervals]))
    return tuple(
        OutputDifference(name, found, float(p)) for name, found, p in zip(scored, intervals, corrected, strict=True)
    )


def _outputs_in_words(per_output: tuple[OutputDifference, ...], confidence: float) -> str:
    """Outputs that differ by themselves, which a mean over outputs may hide."""
    words = []
    for direction, sign in (("Worse", -1), ("Better", 1)):
        named = [
            f"`{one.output}` ({one.interval.estimate:+.3f})"
            for one in per_output
            if one.p_value < 1 - confidence and sign * one.interval.estimate > 0
        ]
        if named:
            words.append(f" {direction} for {some_names(named)}, corrected for {len(per_output)} outputs.")
    return "".join(words)
