"""The command `kpnn`: before anything of Kedro is imported, what it needs is looked for, and where it logs."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

_NEEDED = ("kedro", "kedro_datasets", "kedro_mlflow", "mlflow")
_LOGGING = "KEDRO_LOGGING_CONFIG"


def main() -> int:
    """Runs the command line; returns the exit code."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"Error: this is the library alone, without {', '.join(missing)}; the command kpnn needs the project: "
            "pip install 'kpnn[project]'",
            file=sys.stderr,
        )
        return 1
    from kpnn.app.project import logging_of

    # Kedro reads this on import, and would look for the project's own in the working directory only.
    os.environ.setdefault(_LOGGING, str(logging_of(Path.cwd())))
    from kpnn.app.cli import main as command_line

    command_line()
    return 0


if __name__ == "__main__":
    sys.exit(main())
