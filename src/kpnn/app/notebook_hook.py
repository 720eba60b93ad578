"""Says what `kedro jupyter` needs where it is not installed: Kedro itself shows an empty message."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from kedro.framework.cli.hooks import cli_hook_impl
from kedro.framework.startup import ProjectMetadata

_NEEDED = {"lab": "jupyterlab", "notebook": "notebook", "setup": "ipykernel"}


class NotebookHook:
    """Looks for the package of a Jupyter command before Kedro does."""

    @cli_hook_impl
    def before_command_run(self, project_metadata: ProjectMetadata | None, command_args: list[str]) -> None:
        """Ends `kedro jupyter` in a project of kpnn where Jupyter is not installed.

        Args:
            project_metadata: of the project, None outside of one.
            command_args: what was typed after `kedro`.

        Raises:
            SystemExit: Jupyter is not installed.
        """
        if project_metadata is None or project_metadata.package_name != "kpnn" or command_args[:1] != ["jupyter"]:
            return
        needed = next((_NEEDED[word] for word in command_args[1:] if word in _NEEDED), None)
        if needed is not None and find_spec(needed) is None:
            command = " ".join(["kedro", *command_args])
            # Before the command no exception of click's would be a message.
            sys.exit(f"Error: `{command}` needs {needed}, which is not installed: pip install 'kpnn[jupyter]'")


notebook_hook = NotebookHook()
"""Kedro looks for it under the entry point `kedro.cli_hooks`."""
