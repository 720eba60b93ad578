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
    parser.add_argument("--folder", type=Path, default=Path("data/08_reporting"), help="where the pipeline wrote")
    try:
        print(summary_text(parser.parse_args().folder))
    except KpnnError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
