"""Lets `python -m kpnn` do what `kedro run` does."""

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main() -> None:
    """Runs the project's pipelines with the options of `kedro run`."""
    configure_project("kpnn")
    find_run_command("kpnn")(standalone_mode=True)


if __name__ == "__main__":
    main()
