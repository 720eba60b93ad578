"""What training a fold yields, and the folder that keeps finished folds so that a run can resume."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kpnn.evaluation import are_exclusive, metrics_of, score
from kpnn.files import broken_seal, seal, settled, written_whole

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class FoldResult:
    """One arm trained and scored on one outer fold.

    Attributes:
        arm: name of the arm.
        repeat: from 0.
        fold: from 0.
        protocol: `nested` or `tutorial`.
        seed: that all random numbers of the fold derive from.
        predictions: one row per held-out cell and output: `barcode`, `output`, `label`, `probability`.
        metrics: scores on the held-out cells, by name.
        hyperparameters: with which the reported model was trained.
        history: per epoch of each network of the model: `member`, `epoch`, `loss`, `val_loss`; empty for baselines
            without epochs.
        trials: one row per Optuna trial: `trial`, `state`, `value`, the hyperparameters; empty if untuned.
        n_edges: edges of one network of the model (0 for baselines).
        n_neurons: its hidden neurons and outputs.
        n_parameters: its trainable parameters.
        seconds: wall time of the fold.
        model: content of the `.keras` file that holds all networks of the model, None for baselines.
        member_predictions: what each network of the model says: `member`, `barcode`, `output`, `probability`.

    Examples:
        A fold of the result of `kpnn.training.cross_validation.cross_validate`:

        >>> one = result.folds[0]
        >>> one.name, list(one.predictions.columns)
        ('repeat_0_fold_0', ['barcode', 'output', 'label', 'probability'])
    """

    arm: str
    repeat: int
    fold: int
    protocol: str
    seed: int
    predictions: pd.DataFrame
    metrics: dict[str, float]
    hyperparameters: dict[str, Any]
    history: pd.DataFrame
    trials: pd.DataFrame
    n_edges: int
    n_neurons: int
    n_parameters: int
    seconds: float
    model: bytes | None = field(default=None, repr=False)
    member_predictions: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def name(self) -> str:
        """Such as `repeat_0_fold_3`."""
        return fold_name(self.repeat, self.fold)

    @property
    def n_epochs(self) -> int:
        """Epochs of the network that was trained longest."""
        return int(self.history["epoch"].max()) if len(self.history) else 0


def mean_curve(history: pd.DataFrame) -> pd.DataFrame:
    """Learning curve of a model: `epoch`, `loss`, `val_loss`, each the mean over its networks.

    A network that stopped before the others counts on with its last values, so that no curve jumps where one ends.

    Args:
        history: of one fold, as `FoldResult.history`; without `member` it is one network's.
    """
    if "member" not in history or not len(history):
        return history[[name for name in ("epoch", "loss", "val_loss") if name in history]]
    by_member = history.pivot(index="epoch", columns="member", values=["loss", "val_loss"]).sort_index().ffill()
    mean = {name: by_member[name].mean(axis=1) for name in ("loss", "val_loss")}
    return pd.DataFrame(mean).rename_axis("epoch").reset_index()


def fold_name(repeat: int, fold: int) -> str:
    """The name of a fold in files and runs, such as `repeat_0_fold_3`."""
    return f"repeat_{repeat}_fold_{fold}"


def cells_by_output(barcodes: Sequence[str] | np.ndarray, outputs: Sequence[str]) -> dict[str, np.ndarray | list[str]]:
    """`barcode` and `output` of a long table of predictions, for values that are cells x outputs row after row.

    Args:
        barcodes: names of the cells, n of them.
        outputs: names of the outputs.
    """
    names = np.repeat(np.asarray(barcodes, dtype=object), len(outputs))
    return {"barcode": names, "output": [*outputs] * len(barcodes)}


def predictions_table(
    barcodes: np.ndarray, outputs: Sequence[str], y: np.ndarray, probabilities: np.ndarray
) -> pd.DataFrame:
    """Held-out predictions as a long table: `barcode`, `output`, `label`, `probability`.

    Args:
        barcodes: shape (n_cells,).
        outputs: names of the columns of `y`.
        y: 0/1, shape (n_cells, n_outputs).
        probabilities: shape (n_cells, n_outputs).
    """
    values = {"label": y.astype("int8").ravel(), "probability": probabilities.astype("float64").ravel()}
    return pd.DataFrame(cells_by_output(barcodes, outputs) | values)


def member_table(barcodes: np.ndarray, outputs: Sequence[str], of_members: Sequence[np.ndarray]) -> pd.DataFrame:
    """Held-out predictions of each network of a model as a long table: `member`, `barcode`, `output`, `probability`.

    Args:
        barcodes: shape (n_cells,).
        outputs: names of the outputs.
        of_members: probabilities of each network, shape (n_cells, n_outputs).
    """
    one = cells_by_output(barcodes, outputs)
    tables = [
        pd.DataFrame({"member": member, **one, "probability": probabilities.astype("float64").ravel()})
        for member, probabilities in enumerate(of_members)
    ]
    return pd.concat(tables, ignore_index=True)


def wide_predictions(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, list[str], pd.Index]:
    """The reverse of `predictions_table`: labels, probabilities (n_cells, n_outputs), outputs and barcodes.

    A cell that was held out in several repeats gets the mean of its probabilities.
    """
    outputs = list(dict.fromkeys(predictions["output"]))
    mean = predictions.groupby(["barcode", "output"], sort=True)[["label", "probability"]].mean().unstack("output")
    return (
        mean["label"][outputs].to_numpy().round().astype(int),
        mean["probability"][outputs].to_numpy(),
        outputs,
        mean.index,
    )


@dataclass(frozen=True, eq=False)
class ArmResult:
    """All folds of one arm, ordered by repeat and fold.

    Attributes:
        arm: its name.
        folds: at least one.

    Examples:
        The result of `kpnn.training.cross_validation.cross_validate`:

        >>> result.sizes()
        {'n_edges': 4, 'n_neurons': 3, 'n_parameters': 7}
        >>> result.predictions()["fold"].value_counts(sort=False).tolist()
        [30, 30, 30]
    """

    arm: str
    folds: tuple[FoldResult, ...]

    @property
    def protocol(self) -> str:
        """`nested` or `tutorial`, the same in all folds."""
        return self.folds[0].protocol

    def predictions(self) -> pd.DataFrame:
        """Out-of-fold predictions of all folds, with `repeat` and `fold`."""
        return self._stack("predictions")

    def member_predictions(self) -> pd.DataFrame:
        """Out-of-fold predictions of each network of each fold's model, with `repeat` and `fold`."""
        return self._stack("member_predictions")

    def learning_curves(self) -> pd.DataFrame:
        """`repeat`, `fold`, `member`, `epoch`, `loss`, `val_loss` of the networks of the folds' models."""
        return self._stack("history")

    def trials(self) -> pd.DataFrame:
        """All Optuna trials, with `repeat` and `fold`."""
        return self._stack("trials")

    def fold_metrics(self) -> pd.DataFrame:
        """One row per fold: its scores, sizes, seconds and hyperparameters."""
        return pd.DataFrame(
            [
                {"arm": self.arm, "repeat": r.repeat, "fold": r.fold, "protocol": r.protocol, "seed": r.seed}
                | r.metrics
                | {"n_edges": r.n_edges, "n_neurons": r.n_neurons, "n_parameters": r.n_parameters}
                | {"seconds": r.seconds, "n_epochs": r.n_epochs}
                | {f"hyperparameter_{name}": value for name, value in r.hyperparameters.items()}
                for r in self.folds
            ]
        )

    def sizes(self) -> dict[str, int]:
        """Edges, neurons and trainable parameters of one network of the arm's models."""
        first = self.folds[0]
        return {name: getattr(first, name) for name in ("n_edges", "n_neurons", "n_parameters")}

    def mean_metrics(self) -> dict[str, float]:
        """Mean over folds of every score by its own name, its standard deviation as `<name>_sd`, and the seconds."""
        values = {name: np.array([fold.metrics[name] for fold in self.folds]) for name in self.folds[0].metrics}
        means = {name: float(np.mean(v)) for name, v in values.items()}
        several = len(self.folds) > 1
        spreads = {
            f"{n}_sd": float(np.std(values[n], ddof=1)) if several else 0.0 for n in values if n in metrics_of(True)
        }
        return means | spreads | {"seconds": float(sum(fold.seconds for fold in self.folds))}

    def pooled_metrics(self) -> dict[str, float]:
        """Scores of the out-of-fold predictions of all cells together."""
        y, probabilities, outputs, _ = wide_predictions(self.predictions())
        return score(y, probabilities, outputs, one_of_k=are_exclusive(y, probabilities))

    def _stack(self, attribute: str) -> pd.DataFrame:
        tables = []
        for result in self.folds:
            table = getattr(result, attribute)
            if len(table):
                tables.append(table.assign(repeat=result.repeat, fold=result.fold))
        if not tables:
            return pd.DataFrame({"repeat": pd.Series(dtype=int), "fold": pd.Series(dtype=int)})
        stacked = pd.concat(tables, ignore_index=True)
        return stacked[["repeat", "fold", *(name for name in stacked if name not in ("repeat", "fold"))]]


@dataclass(frozen=True)
class FoldStore:
    """A folder with one folder per finished fold; each appears whole or not at all, and closes with a manifest.

    Attributes:
        root: the arm's folder.

    Examples:
        The store of `kpnn.training.cross_validation.cross_validate`:

        >>> store.load(repeat=0, fold=1).name
        'repeat_0_fold_1'
        >>> store.load(repeat=0, fold=7) is None
        True
    """

    root: Path

    def of_arm(self, arm: str) -> FoldStore:
        """A store of its own for one of several arms kept here.

        Args:
            arm: its name, which becomes that of a folder.
        """
        return FoldStore(self.root / arm)

    def model_path(self, repeat: int, fold: int) -> Path:
        """Where a fold's `.keras` file lies.

        Args:
            repeat: number of the repeat, from 0.
            fold: number of the fold, from 0.
        """
        return self.root / fold_name(repeat, fold) / "model.keras"

    def save(self, result: FoldResult, fingerprint: str) -> None:
        """Keeps a finished fold, replacing an earlier one.

        Args:
            result: the fold.
            fingerprint: of everything that it depends on; a later run takes it only if this is the same.
        """
        with written_whole(self.root / result.name) as folder:
            folder.mkdir()
            for name in _TABLES:
                getattr(result, name).to_parquet(folder / f"{name}.parquet", index=False)
            if result.model is not None:
                (folder / "model.keras").write_bytes(result.model)
            plain = {name: getattr(result, name) for name in _PLAIN} | {"fingerprint": fingerprint}
            (folder / "result.json").write_text(json.dumps(plain, indent=2), encoding="utf-8")
            seal(folder)

    def load(self, repeat: int, fold: int, fingerprint: str | None = None) -> FoldResult | None:
        """Returns a finished fold, or None where there is none with this fingerprint or it is damaged.

        Args:
            repeat: from 0.
            fold: from 0.
            fingerprint: what the fold must depend on; None takes any.
        """
        folder = settled(self.root / fold_name(repeat, fold))
        if not folder.is_dir():
            return None
        damage = broken_seal(folder)
        if damage is not None:
            _log.warning("%s does not count as finished, and modelling trains it again: %s", folder, damage)
            return None
        plain = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        if fingerprint is not None and plain["fingerprint"] != fingerprint:
            return None
        model = folder / "model.keras"
        return FoldResult(
            **{name: plain[name] for name in _PLAIN},
            **{name: pd.read_parquet(folder / f"{name}.parquet") for name in _TABLES},
            model=model.read_bytes() if model.is_file() else None,
        )

    def forget_others(self, kept: Sequence[str]) -> None:
        """Removes folds that are not part of the present cross-validation, such as those of more splits.

        Args:
            kept: names of the folds that are part of it, as `fold_name` gives them.
        """
        for name in kept:
            settled(self.root / name)
        if self.root.is_dir():
            for folder in self.root.iterdir():
                if folder.is_dir() and folder.name.lstrip(".").startswith("repeat_") and folder.name not in kept:
                    shutil.rmtree(folder)


_TABLES = ("predictions", "member_predictions", "history", "trials")
_PLAIN = (
    "arm",
    "repeat",
    "fold",
    "protocol",
    "seed",
    "metrics",
    "hyperparameters",
    "n_edges",
    "n_neurons",
    "n_parameters",
    "seconds",
)
