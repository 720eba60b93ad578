"""The shape of the code: short files, few parameters, one class that every group of settings is made of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import kpnn

PACKAGE = Path(kpnn.__file__).parent
SOURCES = [path for path in sorted(PACKAGE.rglob("*.py")) if "{{" not in str(path)]
MOST_LINES, MOST_PARAMETERS = 400, 6
KERNELS = PACKAGE / "nn" / "engine" / "kernels.py"
"""One file, because compiled code that is kept does not notice changes in others."""
FACES = {
    "kpnn.interpretation.arm.weigh_arm",
    "kpnn.nn.build.build_kpnn",
    "kpnn.nn.fit.fit_kpnn",
    "kpnn.nn.fit.fit_kpnns",
    "kpnn.nn.layer.SparseDag",
    "kpnn.pkn.readers.read_edges",
    "kpnn.pkn.selection.dag_selection.select_dag",
    "kpnn.simulation.scenarios.simulate",
    "kpnn.sklearn.KPNNClassifier",
    "kpnn.tl.fit",
}
"""What users call with many options, all of them by name."""


def functions_of(source: str, module: str) -> Iterator[tuple[str, int, int]]:
    """Each function's dotted name (of `__init__` its class's), number of positional and of all parameters."""
    waiting: list[tuple[str, ast.AST]] = [(module, ast.parse(source))]
    while waiting:
        owner, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            name = owner
            if isinstance(child, ast.ClassDef | ast.FunctionDef):
                name = owner if child.name == "__init__" else f"{owner}.{child.name}"
            if isinstance(child, ast.FunctionDef):
                positional = [
                    one for one in (*child.args.posonlyargs, *child.args.args) if one.arg not in ("self", "cls")
                ]
                yield name, len(positional), len(positional) + len(child.args.kwonlyargs)
            waiting.append((name, child))


def long_signatures() -> dict[str, int]:
    """Functions with more parameters than can be told apart, and how many of them are positional."""
    modules = ((path, ".".join(("kpnn", *path.relative_to(PACKAGE).with_suffix("").parts))) for path in SOURCES)
    found = (one for path, module in modules for one in functions_of(path.read_text(encoding="utf-8"), module))
    return {name: positional for name, positional, in_all in found if in_all > MOST_PARAMETERS}


def test_a_function_takes_six_parameters_at_most_but_for_faces_whose_options_go_by_name() -> None:
    found = long_signatures()
    assert set(found) == FACES
    assert max(found.values()) <= MOST_PARAMETERS


def test_a_long_signature_is_found_wherever_it_stands() -> None:
    source = "class A:\n    def f(self, a, b, c, d, e, f, g):\n        def h(a, *, b, c, d, e, f, g): ...\n"
    assert list(functions_of(source, "m")) == [("m.A.f", 7, 7), ("m.A.f.h", 1, 7)]


@pytest.mark.parametrize("folder", sorted({path.parent.relative_to(PACKAGE).as_posix() for path in SOURCES}))
def test_no_file_but_the_kernels_has_more_than_400_lines(folder: str) -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in (PACKAGE / folder).glob("*.py")}
    assert [path.name for path, n in lines.items() if n > MOST_LINES and path != KERNELS] == []


def test_every_group_of_settings_is_made_of_one_class_that_refuses_unknown_names() -> None:
    stating = [path for path in SOURCES if "ConfigDict" in path.read_text(encoding="utf-8")]
    assert stating == [PACKAGE / "settings_base.py"]
