"""The generated reference names everything that there is, and says something of it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from api_pages import LISTED, ROOMS, api_page, error_messages, errors_page, public_names
from catalog_pages import catalog_entries, catalog_page, names_file
from command_pages import commands, commands_page
from parameter_pages import ABOUT, all_parameters, parameters_page
from pydantic import BaseModel
from test_examples import MODULES

from kpnn import errors
from kpnn.pipelines.parameters import ALLOW_STALE, GROUPS

WITH_NAMES = tuple(room for room in ROOMS if room not in LISTED)


def fields_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every field by its dotted name, those of nested groups in the place of the group."""
    for name, field in model.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            yield from fields_of(field.annotation, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}"


def test_the_page_of_parameters_names_every_field_with_a_meaning(root: Path) -> None:
    parameters = all_parameters(root / "conf" / "base")
    named = {one.name for one in parameters}
    assert {ALLOW_STALE, *(field for group, model in GROUPS.items() for field in fields_of(model, group))} <= named
    assert [one.name for one in parameters if not one.meaning] == []
    assert set(ABOUT) == set(GROUPS)


def test_the_page_of_parameters_shows_type_range_and_what_a_study_gets_that_states_nothing(root: Path) -> None:
    page = parameters_page(root / "conf" / "base")
    assert "| `n_splits` | whole number, at least 2 | `5` |" in page
    assert "| `solver` | `HIGHS` or `SCIP` or `GUROBI` | `HIGHS` |" in page
    base = yaml.safe_load((root / "conf" / "base" / "parameters_modelling.yml").read_text(encoding="utf-8"))
    prior = base["modelling"]["hyperparameters"]["weight_prior"]
    assert "Examples:" not in page  # the section of a docstring that comes after its attributes
    assert f"| `weight_prior` | number, at least 0 and at most 1,000,000 | `{prior}` |" in page


def test_the_page_of_files_names_every_entry_of_the_catalog_and_says_what_it_is(root: Path) -> None:
    path = root / "conf" / "base" / "catalog.yml"
    entries = catalog_entries(path)
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {one.name for one in entries} == {name for name in written if not name.startswith("_")}
    assert [one.name for one in entries if not one.meaning] == []
    page = catalog_page(path)
    assert all(f"| `{one.name}` |" in page for one in entries)


def test_a_file_that_the_page_does_not_name_is_found(root: Path) -> None:
    catalog = root / "conf" / "base" / "catalog.yml"
    fold = "data/06_models/tcr/full/repeat_0_fold_3"
    assert names_file(catalog, f"{fold}/model.keras")
    assert names_file(catalog, "data/08_reporting/tcr/pruned/node_weights.csv")
    assert not names_file(catalog, f"{fold}/scratch.parquet")
    assert not names_file(catalog, "data/08_reporting/tcr/other/node_weights.csv")


def test_the_page_of_commands_names_every_option_and_says_what_it_does() -> None:
    page = commands_page()
    assert {one.name for one in commands()} >= {"init", "check", "run"}
    for command in commands():
        section = page.partition(f"## kpnn {command.name}\n")[2].partition("\n## ")[0]
        for option in command.params:
            if isinstance(option, click.Option):
                line = next(line for line in section.splitlines() if f"`{option.opts[0]}`" in line)
                assert option.help and option.help.split()[0] in line


def test_the_page_of_errors_has_every_class_and_its_messages(root: Path) -> None:
    source = root / "src" / "kpnn"
    messages = list(error_messages(source))
    page = errors_page(source)
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.KpnnError):
            assert f"## {name}\n" in page
    raised_in_folds = {one.message for one in messages if one.room == "kpnn.cells"}
    assert "barcode … occurs more than once in the class labels" in raised_in_folds
    assert "FILE: barcode … occurs more than once" in raised_in_folds
    assert [one.message for one in messages if not set(one.message) - set("FILE…:, ")] == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_rooms_page_names_everything_public_in_it(room: str) -> None:
    page = api_page(room)
    for name in public_names(room):
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute)
        assert f"::: {name}\n" in page


def documented(owner: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """A function itself; of a class what can be called of it and was written in it."""
    if inspect.isfunction(owner):
        yield owner.__name__, owner
    elif inspect.isclass(owner):
        for name, member in vars(owner).items():
            function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
            function = function.fget if isinstance(function, property) else function
            if inspect.isfunction(function) and not name.startswith("_"):
                yield f"{owner.__name__}.{name}", function


@pytest.mark.parametrize("room", WITH_NAMES)
def test_every_public_name_has_a_docstring(room: str) -> None:
    module = importlib.import_module(f"kpnn.{room}")
    public = [getattr(module, name) for name in module.__all__]
    functions = [pair for owner in public for pair in documented(owner)]
    assert [name for name, function in functions if not inspect.getdoc(function)] == []
    assert [owner.__name__ for owner in public if inspect.isclass(owner) and not owner.__doc__] == []


@pytest.mark.parametrize("room", WITH_NAMES)
def test_docstrings_of_public_functions_say_what_goes_in_and_what_comes_out(room: str) -> None:
    module = importlib.import_module(f"kpnn.{room}")
    silent = []
    for name in module.__all__:
        function = getattr(module, name)
        if not inspect.isfunction(function):
            continue
        signature, text = inspect.signature(function), inspect.getdoc(function) or ""
        if "\nExample:\n" in text:
            silent.append(f"{name}: the section is `Examples`")
        if signature.parameters and "\nArgs:\n" not in text:
            silent.append(f"{name}: Args")
        if signature.return_annotation not in (None, "None") and "\nReturns:\n" not in text:
            silent.append(f"{name}: Returns")
        arguments = text.partition("\nArgs:\n")[2]
        silent += [
            f"{name}: {one}"
            for one in signature.parameters
            if f"    {one}:" not in arguments and f"    **{one}:" not in arguments and f"    *{one}:" not in arguments
        ]
    assert silent == []


def shows_itself(owner: Any) -> bool:
    """Whether a function, or a class or what makes one of it, has an example; of a catalog's entry one in YAML."""
    makers = [one for one in vars(owner).values() if isinstance(one, classmethod)] if inspect.isclass(owner) else []
    texts = [owner.__doc__, *(one.__func__.__doc__ for one in makers)]
    shown = [inspect.cleandoc(text or "").partition("\nExamples:\n")[2] for text in texts]
    return any("\n    >>> " in f"\n{one}" or "\n    ```yaml\n" in f"\n{one}" for one in shown)


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_function_and_class_has_an_example_that_is_run(room: str) -> None:
    owners = [_named(name) for name in public_names(room)]
    public = [one for one in owners if inspect.isfunction(one) or inspect.isclass(one)]
    assert [one.__name__ for one in public if not shows_itself(one)] == []
    if room != "datasets":  # what a catalog says, in YAML, is read by other tests
        assert sorted({one.__module__ for one in public} - set(MODULES)) == []


def _named(dotted: str) -> Any:
    module, _, attribute = dotted.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_a_public_name_without_an_example_is_found() -> None:
    class Promising:
        """Has a section, and nothing in it.

        Examples:
            None yet.
        """

    class Made(Promising):
        """Shown by what makes it."""

        @classmethod
        def of(cls) -> Made:
            """Makes one.

            Examples:
                >>> Made.of()
            """
            return cls()

    assert [one.__name__ for one in (shows_itself, Promising, Made) if not shows_itself(one)] == [
        "shows_itself",
        "Promising",
    ]


FACE = {
    "kpnn.pkn": ("Pkn", "Dag", "DagSelection", "select_dag"),
    "kpnn.nn": ("build_kpnn", "fit_kpnn", "predict", "set_edge_weights", "edge_weights", "biases"),
    "kpnn.interpretation": ("node_weights",),
    "kpnn.sklearn": ("KPNNClassifier",),
    "kpnn.tl": ("fit", "predict", "activations", "node_weights"),
    "kpnn.pl": ("nodes", "network", "confusion"),
}
"""What notebooks call: here nothing is left to be guessed."""
FACE_NAMES = [f"{module}.{name}" for module, names in FACE.items() for name in names]


def gaps_of(name: str, function: Callable[..., Any], sections: tuple[str, ...]) -> list[str]:
    """What the docstring of a function does not say: arguments, and sections of those asked for that apply."""
    signature, text = inspect.signature(function), inspect.getdoc(function) or ""
    arguments = [one for one in signature.parameters if one not in ("self", "cls")]
    applies = {"Args": bool(arguments), "Returns": signature.return_annotation not in (None, "None")}
    gaps = [one for one in sections if applies.get(one, True) and f"\n{one}:\n" not in text]
    told = text.partition("\nArgs:\n")[2]
    gaps += [one for one in arguments if not any(f"    {stars}{one}:" in told for stars in ("", "*", "**"))]
    return [f"{name}: {one}" for one in gaps]


@pytest.mark.parametrize("dotted", FACE_NAMES)
def test_what_notebooks_call_says_what_goes_in_what_comes_out_what_may_fail_and_shows_it(dotted: str) -> None:
    module, _, name = dotted.rpartition(".")
    owner = getattr(importlib.import_module(module), name)
    if inspect.isfunction(owner):
        gaps = gaps_of(name, owner, ("Args", "Returns", "Raises", "Examples"))
    else:
        gaps = [] if "\nExamples:\n" in inspect.cleandoc(owner.__doc__ or "") else [f"{name}: Examples"]
        for method, function in documented(owner):
            of_class = inspect.getattr_static(owner, method.partition(".")[2])
            if not hasattr(of_class, "fget") and not hasattr(of_class, "func"):  # a property says what it is
                gaps += gaps_of(method, function, ("Args", "Returns"))
    assert gaps == []


def told_by(owner: type, method: str) -> list[Callable[..., Any]]:
    """What may describe a method's arguments: itself, or what it overrides in a class of kpnn's."""
    return [vars(one)[method] for one in owner.__mro__ if method in vars(one) and one.__module__.startswith("kpnn")]


def overrides_a_frameworks(owner: type, method: str) -> bool:
    """Whether a method is one that Keras, pydantic or scikit-learn calls, and documents."""
    return any(method in vars(one) for one in owner.__mro__ if not one.__module__.startswith("kpnn"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_method_says_what_its_arguments_are(room: str) -> None:
    silent = []
    for name in public_names(room):
        module, _, attribute = name.rpartition(".")
        owner = getattr(importlib.import_module(module), attribute)
        if not inspect.isclass(owner):
            continue
        for method, _ in documented(owner):
            short = method.partition(".")[2]
            if inspect.isdatadescriptor(vars(owner)[short]) or overrides_a_frameworks(owner, short):
                continue
            tellers = [getattr(one, "__func__", one) for one in told_by(owner, short)]
            gaps = [gaps_of(method, one, ("Args",)) for one in tellers if inspect.isfunction(one)]
            silent += min(gaps, key=len, default=[])
    assert silent == []


def test_a_docstring_that_leaves_something_out_is_found() -> None:
    def silent(X: int, *more: int, seed: int = 0) -> int:
        """Adds.

        Args:
            X: a number.
        """
        return X

    assert gaps_of("silent", silent, ("Args", "Returns", "Raises")) == [
        "silent: Returns",
        "silent: Raises",
        "silent: more",
        "silent: seed",
    ]
