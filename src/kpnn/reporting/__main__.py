"""Prints the comparison, the answer, and where the report and the UIs are."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kpnn.errors import KpnnError
from kpnn.reporting.terminal import summary_text


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m kpnn.reporting", description=__doc__)
    parser.add_argument("study", nargs="?", default="demo", help="the study's name; by default %(default)s")
    parser.add_argument("--folder", type=Path, help="where the pipeline wrote; by default data/08_reporting/<study>")
    arguments = parser.parse_args()
    try:
        print(summary_text(arguments.folder or Path("data/08_reporting") / arguments.study))
    except KpnnError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
