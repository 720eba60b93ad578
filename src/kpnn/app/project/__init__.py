"""A complete Kedro project of kpnn, laid down where there is none.

What it is made of has one owner: this repository's own `conf/` and `notebooks/`, and the Makefile beside this file. The
wheel carries them (`force-include` in pyproject.toml); where kpnn runs from its sources they are taken from there.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

from kpnn.errors import SettingsError, some_names

_HERE = Path(__file__).parent
_SOURCES = Path(__file__).parents[4]
_COPIED = (".gitignore", ".telemetry", "conf", "notebooks")
OWN = ("base", "cluster", "pbmc68k", "sim1", "sim2", "tcr", "tutorial", "logging.yml")
"""What of `conf/` every project gets; whatever else lies there is somebody's own."""
_EMPTY_FOLDERS = ("conf/local", "data/01_raw", "mlruns")

_PYPROJECT = """\
# What Kedro must know about this project. The pipelines are kpnn's, which is installed: pip install 'kpnn[project]'
[tool.kedro]
package_name = "kpnn"
project_name = "{name}"
kedro_init_version = "{version}"
source_dir = "."

# What `kedro package` makes: a wheel that brings kpnn along, and beside it this configuration.
[project]
name = "{package}"
version = "0.1"
dependencies = ["kpnn[project]"]

[tool.setuptools]
py-modules = []
"""


def lay_down_project(root: Path) -> list[str]:
    """Makes a folder a complete Kedro project: configuration, notebooks, Makefile, places for data and runs.

    Args:
        root: the folder, which may hold data and anything else that is not in the way; it is made if need be.

    Returns:
        What was laid down, relative to `root`.

    Raises:
        SettingsError: something of the same name is there already; nothing is written.
    """
    import kedro  # whose logging is not yet decided where this module is first imported

    laid = ["pyproject.toml", "Makefile", *_COPIED]
    taken = [name for name in laid if (root / name).exists() and name != ".gitignore"]
    if taken:
        raise SettingsError(
            f"{root} is not a project of kpnn (no pyproject.toml with [tool.kedro]), and {some_names(taken)} in it "
            "would be in the way of one: run this in another folder, or in the project's own"
        )
    root.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        source = _template() / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=_whats_not_ours)
        elif not (root / name).exists():
            shutil.copy(source, root / name)
    shutil.copy(_HERE / "Makefile", root / "Makefile")
    for folder in _EMPTY_FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / ".gitkeep").touch()
    name = root.resolve().name
    # A package may be called by letters and digits only, and not as what it depends on.
    package = f"study-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}".strip("-")
    pyproject = _PYPROJECT.format(name=name.replace('"', ""), package=package, version=kedro.__version__)
    (root / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    return laid


def project_around(folder: Path) -> Path | None:
    """The Kedro project that a folder is, or is in; None where there is none.

    Args:
        folder: where the user is.

    Raises:
        SettingsError: it is a project of another package.
    """
    from kedro.utils import find_kedro_project

    root = find_kedro_project(folder)
    if root is None:
        return None
    said = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    package = said.get("tool", {}).get("kedro", {}).get("package_name")
    if package != "kpnn":
        raise SettingsError(f"{root} is a Kedro project of {package}, not of kpnn: run this in a folder outside of it")
    return Path(root)


def required_project() -> Path:
    """The project that the working directory is, or is in.

    Raises:
        SettingsError: there is none, or it is a project of another package.
    """
    project = project_around(Path.cwd())
    if project is None:
        raise SettingsError(
            f"no project of kpnn in {Path.cwd()} or above it; `kpnn init STUDY --cells ...` creates one"
        )
    return project


def logging_of(folder: Path) -> Path:
    """What the terminal shows: as the project says that a folder is in, else as every project says.

    Args:
        folder: the project's, or one in it.
    """
    for place in (folder, *folder.parents):
        found = place / "conf" / "logging.yml"
        if found.is_file():
            return found
    return template_conf() / "logging.yml"


def template_conf() -> Path:
    """The configuration that a project begins with."""
    return _template() / "conf"


def _template() -> Path:
    return _HERE if (_HERE / "conf").is_dir() else _SOURCES


def _whats_not_ours(folder: str, names: list[str]) -> list[str]:
    if Path(folder).name == "conf":
        return [name for name in names if name not in OWN]
    return [name for name in names if name.startswith((".ipynb_checkpoints", "__pycache__"))]
