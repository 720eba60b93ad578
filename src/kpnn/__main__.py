"""Lets `python -m kpnn` do what `kedro run` does."""

from kedro.framework.project import configure_project

from kpnn.app.cli import run


def main() -> None:
    """Runs the project's pipelines with the options of `kedro run`."""
    configure_project("kpnn")
    run(standalone_mode=True, prog_name="python -m kpnn")


if __name__ == "__main__":
    main()
