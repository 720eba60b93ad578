"""Public knowledge that `kpnn init --prior` fetches, and what of a network it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kpnn.errors import SettingsError
from kpnn.pipelines.priors.nodes import fetch_priors
from kpnn.pipelines.priors.settings import PriorsSettings
from kpnn.pipelines.validation import validated
from kpnn.settings import CONFIG_LOADER_ARGS
from kpnn.studies import StudyConfigLoader

PRIORS = {
    "omnipath": ("signalling", "omnipath.tsv"),
    "collectri": ("regulon", "collectri.tsv"),
    "hallmark": ("gene_sets", "hallmark.gmt"),
    "reactome": ("gene_sets", "ReactomePathways.gmt.zip"),
}
"""Name -> the option in whose place it stands, and its file among `priors.files`."""


def places(names: Sequence[str], folder: Path) -> dict[str, Path]:
    """Where public knowledge will lie: option of `kpnn init` -> the file that stands in its place.

    Args:
        names: of `PRIORS`.
        folder: where the files go.

    Raises:
        SettingsError: two of them are the same part of a network.
    """
    chosen = dict(PRIORS[name] for name in names)
    if len(chosen) < len(set(names)):
        raise SettingsError(f"--prior {' and '.join(names)}: these are the same part of a network; take one of them")
    return {option: folder / file for option, file in chosen.items()}


def fetch(files: Mapping[str, Path], folder: Path, conf: Path) -> None:
    """Fetches public knowledge as the pipeline `priors` does, with lock and licences.

    Args:
        files: what `places` gave.
        folder: where the files go.
        conf: the configuration that says where they are.

    Raises:
        KpnnError: an address does not answer, or gives something else.
    """
    parameters = StudyConfigLoader(str(conf), None, **CONFIG_LOADER_ARGS)["parameters"].get("priors")
    settings = validated(PriorsSettings, parameters, "priors")
    wanted = tuple(path.name for path in files.values())
    fetch_priors(settings.model_copy(update={"folder": str(folder), "wanted": wanted}))
