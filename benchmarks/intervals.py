"""Does the interval cover, and what does it find? Many simulated studies per condition, beside the corrected t-test.

Half of the conditions simulate scores: cells of two classes, what the arms share and what is each arm's own, networks
that differ by their start (noise), by what was tuned in their fold, and by their training cells. The other half fits
scikit-learn's classifiers to simulated features, so that the interval meets more than its own assumptions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.tree import ExtraTreeClassifier

from kpnn.evaluation import ArmScores, compare, interval

N_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Study:
    """Two arms' predictions of the same cells.

    Attributes:
        labels: shape (n_cells,).
        fold_of_cell: shape (n_repeats, n_cells).
        logits: of each arm's members, shape (2, n_repeats, n_members, n_cells).
        groups: donor of each cell, or None.
    """

    labels: np.ndarray
    fold_of_cell: np.ndarray
    logits: np.ndarray
    groups: pd.Series | None

    def scores(self, arm: int, with_members: bool) -> ArmScores:
        """The arm's scores, and those of its members where they may be known."""
        n_repeats, n_members, n_cells = self.logits.shape[1:]
        cells = np.arange(n_cells)
        keys = {
            "repeat": np.repeat(np.arange(n_repeats), n_cells),
            "fold": self.fold_of_cell.ravel(),
            "barcode": np.tile(cells, n_repeats),
            "output": "OUT",
        }
        ensemble = expit(self.logits[arm].mean(axis=1)).ravel()
        table = pd.DataFrame(keys | {"label": np.tile(self.labels, n_repeats), "probability": ensemble})
        members = None
        if with_members and n_members > 1:
            parts = [
                pd.DataFrame(keys | {"member": k, "probability": expit(self.logits[arm][:, k].ravel())})
                for k in range(n_members)
            ]
            members = pd.concat(parts, ignore_index=True)
        return ArmScores.from_predictions(("reference", "candidate")[arm], table, members=members)


def split(rng: np.random.Generator, labels: np.ndarray, donors: np.ndarray | None) -> np.ndarray:
    """A fold per cell: classes spread evenly, or whole donors."""
    if donors is not None:
        return (rng.permutation(donors.max() + 1) % N_FOLDS)[donors]
    folds = np.empty(len(labels), dtype=int)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        folds[rows] = np.arange(len(rows)) % N_FOLDS
    return folds


def simulate_scores(
    rng: np.random.Generator,
    *,
    n_cells: int = 300,
    separation: tuple[float, float] = (2.0, 2.0),
    own: float = 0.3,
    noise: float = 0.5,
    tuning: float = 0.0,
    sample: float = 0.03,
    n_donors: int = 0,
    donor_sd: float = 0.5,
    n_repeats: int = 1,
    n_members: int = 5,
) -> Study:
    """Scores from a model: each network weighs eight irrelevant features of the cells at random.

    Args:
        rng: of the study.
        n_cells: cells, half of either class.
        separation: distance of the classes, by arm.
        own: sd of what an arm alone sees in a cell (both share noise of sd 1).
        noise: how much of the irrelevant features a member takes up at random.
        tuning: the same, shared by the members of a fold.
        sample: sd of the separation that the training cells decide.
        n_donors: donors, 0 for independent cells.
        donor_sd: sd of a donor's own separation, by arm.
        n_repeats: of the cross-validation.
        n_members: of a fold's ensemble.
    """
    labels = np.arange(n_cells) % 2
    sign = 2 * labels - 1
    donors = np.arange(n_cells) // 2 % n_donors if n_donors else None
    shared, irrelevant = rng.normal(size=n_cells), rng.normal(size=(n_cells, 8)) / np.sqrt(8)
    taught = rng.normal(size=(2, n_cells))
    base = np.array(separation)[:, None] * labels + shared + own * rng.normal(size=(2, n_cells))
    if donors is not None:
        base += donor_sd * rng.normal(size=(2, n_donors))[:, donors] * sign / 2
    folds = np.stack([split(rng, labels, donors) for _ in range(n_repeats)])
    logits = np.empty((2, n_repeats, n_members, n_cells))
    for repeat, fold in np.ndindex(n_repeats, N_FOLDS):
        rows = folds[repeat] == fold
        for arm in (0, 1):
            learned = sample * np.sqrt(n_cells) * taught[arm, ~rows].mean()
            weights = noise * rng.normal(size=(n_members, 8)) + tuning * rng.normal(size=8)
            logits[arm, repeat][:, rows] = base[arm, rows] + learned * labels[rows] + weights @ irrelevant[rows].T
    groups = None if donors is None else pd.Series(donors)
    return Study(labels, folds, logits, groups)


def fit_classifiers(
    rng: np.random.Generator,
    *,
    make: Callable[[int], LogisticRegression | ExtraTreeClassifier],
    n_cells: int = 200,
    better: float = 0.0,
    effect: float = 0.9,
    n_donors: int = 0,
    n_repeats: int = 1,
    n_members: int = 3,
) -> Study:
    """Real classifiers, one per inner fold, on two sets of ten features that share four.

    Args:
        rng: of the study.
        make: a classifier from a seed.
        n_cells: cells.
        better: how much more the candidate's own features tell than the reference's.
        effect: distance of the classes in each of three telling features.
        n_donors: donors with features of their own, 0 for independent cells.
        n_repeats: of the cross-validation.
        n_members: classifiers of a fold.
    """
    labels = np.arange(n_cells) % 2
    donors = np.arange(n_cells) // 2 % n_donors if n_donors else None
    x = rng.normal(size=(n_cells, 16))
    x[:, [0, 1]] += effect * labels[:, None]
    x[:, 4] += effect * labels
    x[:, 10] += (effect + better) * labels
    if donors is not None:
        x += 0.7 * rng.normal(size=(n_donors, 16))[donors] * labels[:, None]
    columns = (np.r_[0:10], np.r_[0:4, 10:16])
    folds = np.stack([split(rng, labels, donors) for _ in range(n_repeats)])
    logits = np.empty((2, n_repeats, n_members, n_cells))
    for repeat, fold in np.ndindex(n_repeats, N_FOLDS):
        held_out, training = np.flatnonzero(folds[repeat] == fold), np.flatnonzero(folds[repeat] != fold)
        inner = KFold(n_members, shuffle=True, random_state=int(rng.integers(2**31))).split(training)
        for member, (kept, _) in enumerate(inner):
            rows = training[kept]
            for arm in (0, 1):
                model = make(int(rng.integers(2**31))).fit(x[np.ix_(rows, columns[arm])], labels[rows])
                p = model.predict_proba(x[np.ix_(held_out, columns[arm])])[:, 1]
                logits[arm, repeat, member, held_out] = logit(np.clip(p, 0.01, 0.99))
    return Study(labels, folds, logits, None if donors is None else pd.Series(donors))


def _logistic(seed: int) -> LogisticRegression:
    return LogisticRegression(random_state=seed, max_iter=50, tol=1e-3)


def _tree(seed: int) -> ExtraTreeClassifier:
    return ExtraTreeClassifier(max_depth=4, min_samples_leaf=5, random_state=seed)


@dataclass(frozen=True)
class Condition:
    """What is simulated: `make` a study, and whether the members' predictions are known."""

    make: Callable[[np.random.Generator], Study]
    members: bool = False


SCORES, LOGISTIC, TREES = (
    simulate_scores,
    partial(fit_classifiers, make=_logistic),
    partial(fit_classifiers, make=_tree),
)

CONDITIONS = {
    "scores, 3 repeats, equal": Condition(partial(SCORES, n_repeats=3)),
    "scores, 3 repeats, 0.01": Condition(partial(SCORES, n_repeats=3, separation=(2.0, 2.09))),
    "scores, 3 repeats, 0.038": Condition(partial(SCORES, n_repeats=3, separation=(2.0, 2.39))),
    "scores, 2 repeats, noisy": Condition(partial(SCORES, n_repeats=2, noise=2.0, own=0.1)),
    "scores, 5 repeats, noisy": Condition(partial(SCORES, n_repeats=5, noise=2.0, own=0.1)),
    "scores, 1 repeat, 5 members": Condition(SCORES, members=True),
    "scores, 1 repeat, 5 members, 0.038": Condition(partial(SCORES, separation=(2.0, 2.39)), members=True),
    "scores, 1 repeat, 5 members, noisy": Condition(partial(SCORES, noise=2.0, own=0.1), members=True),
    "scores, 1 repeat, 5 members, tuning": Condition(partial(SCORES, noise=1.0, tuning=0.6, own=0.1), members=True),
    "scores, 1 repeat, nothing known": Condition(partial(SCORES, noise=2.0, own=0.1)),
    "scores, 6 donors, 1 repeat": Condition(partial(SCORES, n_donors=6), members=True),
    "scores, 10 donors, 1 repeat": Condition(partial(SCORES, n_donors=10), members=True),
    "scores, 10 donors, 3 repeats": Condition(partial(SCORES, n_donors=10, n_repeats=3)),
    "scores, 20 donors, 1 repeat": Condition(partial(SCORES, n_donors=20), members=True),
    "scores, nearly perfect": Condition(partial(SCORES, separation=(4.5, 4.5)), members=True),
    "scores, every fold perfect": Condition(partial(SCORES, separation=(9.0, 9.0)), members=True),
    "logistic, 1 repeat, 3 members, equal": Condition(LOGISTIC, members=True),
    "logistic, 3 repeats, better": Condition(partial(LOGISTIC, n_repeats=3, n_members=2, better=0.6)),
    "logistic, 10 donors, 1 repeat": Condition(partial(LOGISTIC, n_donors=10), members=True),
    "logistic, nearly perfect": Condition(partial(LOGISTIC, effect=3.0), members=True),
    "trees, 1 repeat, 3 members, equal": Condition(TREES, members=True),
    "trees, 1 repeat, 3 members, better": Condition(partial(TREES, better=0.8), members=True),
    "trees, 3 repeats, equal": Condition(partial(TREES, n_repeats=3)),
}


def corrected_t_interval(differences: np.ndarray) -> tuple[float, float]:
    """Nadeau & Bengio's corrected resampled t-test over folds, the peer: 95 % interval."""
    error = np.sqrt((1 / len(differences) + 1 / (N_FOLDS - 1)) * differences.var(ddof=1))
    half = stats.t.ppf(0.975, len(differences) - 1) * error
    return float(differences.mean() - half), float(differences.mean() + half)


def run(condition: Condition, n_studies: int, seed: int) -> dict[str, float]:
    """Coverage of the mean over all studies, mean width and power, of the interval and of the t-test."""
    rows = []
    for number in range(n_studies):
        study = condition.make(np.random.default_rng([seed, number]))
        reference, candidate = (study.scores(arm, condition.members) for arm in (0, 1))
        ours = compare(candidate, reference, groups=study.groups).interval
        alone = interval(reference, groups=study.groups)
        peer = corrected_t_interval((candidate.values - reference.values).ravel())
        rows.append((ours.estimate, ours.lower, ours.upper, *peer, alone.estimate, alone.lower, alone.upper))
    estimate, lower, upper, peer_lower, peer_upper, score, least, most = np.array(rows).T
    truth, level = estimate.mean(), score.mean()
    return {
        "ROC-AUC": level,
        "difference": truth,
        "sd": estimate.std(ddof=1),
        "coverage": np.mean((lower <= truth) & (truth <= upper)),
        "width": np.mean(upper - lower),
        "found": np.mean((lower > 0) | (upper < 0)),
        "t-test coverage": np.mean((peer_lower <= truth) & (truth <= peer_upper)),
        "t-test width": np.mean(peer_upper - peer_lower),
        "t-test found": np.mean((peer_lower > 0) | (peer_upper < 0)),
        "one arm's coverage": np.mean((least <= level) & (level <= most)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    arguments = parser.parse_args()
    print(f"{arguments.studies} studies a condition, {N_FOLDS} folds\n", flush=True)
    heading = True
    for name, condition in CONDITIONS.items():
        if arguments.only not in name:
            continue
        begun = time.monotonic()
        found = run(condition, arguments.studies, arguments.seed)
        if heading:
            print(f"| condition | {' | '.join(found)} | seconds |\n|---|{'---|' * (len(found) + 1)}", flush=True)
            heading = False
        figures = " | ".join(f"{value:.3f}" for value in found.values())
        print(f"| {name} | {figures} | {time.monotonic() - begun:.0f} |", flush=True)


if __name__ == "__main__":
    main()
