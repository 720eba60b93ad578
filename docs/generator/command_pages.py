"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

import inspect

import click
from plain_text import escaped

from kpnn.app.cli import cli

_OURS = ("init", "check", "status")
"""The commands that kpnn adds; `run` is Kedro's and stands last."""


def commands() -> list[click.Command]:
    """Every command of `kpnn`, kpnn's own first."""
    return sorted(cli.commands.values(), key=lambda one: (one.name not in _OURS, one.name != "init", one.name or ""))


def commands_page() -> str:
    """The page, as Markdown."""
    lines = [
        "# Commands",
        "",
        "`kpnn COMMAND --help` says the same. In a project, `kedro COMMAND` knows `run` and all of Kedro's commands. "
        "How they are used: [your own data](../your_own_data.md), [operations](../operations.md). Exit codes: 0 done; "
        "1 an error, in one message; 2 what can be said before the first node; 130 Ctrl-C; 143 SIGTERM.",
        "",
    ]
    for command in commands():
        arguments = [one for one in command.params if isinstance(one, click.Argument)]
        options = [one for one in command.params if isinstance(one, click.Option)]
        shape = " ".join(f"{one.name}".upper() if one.required else f"[{one.name}]".upper() for one in arguments)
        lines += [f"## kpnn {command.name}", "", "```console", f"$ kpnn {command.name} {shape}".rstrip(), "```", ""]
        lines += [*_paragraphs(command.help or ""), ""]
        if options:
            lines += ["| option | takes | what it does |", "|---|---|---|"]
            lines += [_row(option) for option in options]
            lines.append("")
    return "\n".join(lines)


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    takes = "" if option.is_flag else _takes(option)
    words = " ".join((option.help or "").split())
    if option.required:
        words += " Must be given."
    return f"| {names} | {takes} | {escaped(words)} |"


def _takes(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return " or ".join(f"`{choice}`" for choice in option.type.choices)
    kind = {"text": "text", "path": "a path", "integer": "a whole number", "float": "a number"}
    taken = f"`{option.metavar}`" if option.metavar else kind.get(option.type.name, option.type.name)
    return f"{taken}, again and again" if option.multiple else taken


def _paragraphs(text: str) -> list[str]:
    plain = inspect.cleandoc(text.replace("\b", "")).split("\n\n")
    return [line for paragraph in plain for line in (escaped(paragraph), "")][:-1]
