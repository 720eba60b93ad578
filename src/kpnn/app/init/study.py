"""A study that is planned from the user's files, and its configuration in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from kpnn.app.init.as_yaml import yaml_of
from kpnn.app.init.expression import CellsLook, look_at_cells, open_cells
from kpnn.app.init.knowledge import Knowledge, NetworkFiles, ends_of, make_knowledge, names_in, read_files
from kpnn.app.init.labelling import Asked, LabelLook, look_at_labels
from kpnn.cells import Expression
from kpnn.cells.labels import read_label_table
from kpnn.errors import some_names

_WIDTH = 116


@dataclass(frozen=True)
class Files:
    """What the user names.

    Attributes:
        cells: the expression file or folder.
        network: the files of knowledge.
        classes: a table of the cells' labels; None: the cells' own `obs`.
        options: how the expression file is to be read, where that is not to be found out: `values`, `genome`.
    """

    cells: Path
    network: NetworkFiles
    classes: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """All that a study's configuration says, and why.

    Attributes:
        name: of the study.
        files: as the user named them.
        cells: what the expression file holds.
        labels: which classes there are.
        knowledge: the network.
        group: the column of donors, or None.
    """

    name: str
    files: Files
    cells: CellsLook
    labels: LabelLook
    knowledge: Knowledge
    group: str | None

    @property
    def class_sizes(self) -> str:
        """How many cells each class has, in words."""
        sizes = [f"{name} ({count:,})" for name, count in self.labels.sizes.items()]
        return f"cells of each class: {some_names(sizes, 12)}"

    @property
    def matrices(self) -> list[str]:
        """What each matrix of the expression file holds, in words."""
        told = []
        for values in self.cells.matrices:
            taken = "taken" if values == self.cells.values else "not taken"
            if values.name in self.cells.wider:
                taken += (
                    f", but it measures {self.cells.wider[values.name]:,} of the network's genes and "
                    f"{self.cells.values.name} {self.cells.genes.n_found:,}: --values {values.name} takes it"
                )
            called = f"{values.name}: " if values.name else ""
            told.append(f"{called}{values.n_genes:,} genes, {values.kind} ({values.why}); {taken}")
        return told

    @property
    def gene_names(self) -> str:
        """How genes are named, and how many of the network's are measured, in words."""
        genes = self.cells.genes
        species = f"{genes.species} " if genes.species else ""
        return (
            f"genes are named by {species}{genes.kind} ({genes.chosen.called}); {genes.n_found:,} of the network's "
            f"{genes.n_wanted:,} are measured{'; ' + genes.advice if genes.advice else ''}"
        )

    @property
    def found(self) -> list[str]:
        """All that was seen and decided, a line each."""
        of_files = [note for file in self.knowledge.entries.values() for note in file.notes]
        return [*self.matrices, self.gene_names, *self.labels.notes, *of_files, *self.knowledge.notes]


def plan_study(name: str, files: Files, asked: Asked) -> StudyPlan:
    """Looks into the files and decides everything that a configuration must say.

    Args:
        name: of the study.
        files: the user's files.
        asked: what the user says about the labels.

    Raises:
        KpnnError: a file, a column, a value or a receptor does not exist or cannot be used.
    """
    entries = read_files(files.network)
    handle = open_cells(files.cells, dict(files.options))
    table = None if files.classes is None else _labels_of(files.classes)
    handle.settle([] if table is None else table["barcode"], names_in(entries))
    labels = look_at_labels(table, handle, asked, ends_of(entries))
    knowledge = make_knowledge(files.network, entries, labels.labels, _gene_names(handle))
    cells = look_at_cells(handle, files.cells, dict(files.options), knowledge.genes)
    return StudyPlan(name, files, cells, labels, knowledge, asked.group)


def _labels_of(path: Path) -> pd.DataFrame:
    table = read_label_table(path)
    table.attrs["source"] = str(path)
    return table


def _gene_names(handle: Expression) -> list[str]:
    return [*handle.symbols, *(() if handle.gene_ids is None else handle.gene_ids)]


def configuration(plan: StudyPlan, project: Path) -> dict[str, str]:
    """The study's files in `conf/<study>/`, by name: YAML with every choice explained.

    Args:
        plan: what they say.
        project: the project's folder; paths of files in it are relative to it.
    """
    return {
        "globals.yml": "\n".join(_globals(plan)) + "\n",
        "catalog.yml": "\n".join(_catalog(plan, project)) + "\n",
        "parameters.yml": "\n".join(_cross_validation(plan)) + "\n",
        "parameters_data_engineering.yml": "\n".join(_data_engineering(plan)) + "\n",
    }


def _globals(plan: StudyPlan) -> Iterator[str]:
    yield "# The study's name: data/<layer>/<study>/ and MLflow's experiment kpnn-<study> are its own."
    yield f"study: {yaml_of(plan.name)}"


def _catalog(plan: StudyPlan, project: Path) -> Iterator[str]:
    yield f"# What `kpnn init` found in your files; `kpnn check {plan.name}` says what a run makes of them."
    yield "# Options of every entry: `pydoc kpnn.datasets.raw`; all other entries are those of conf/base/catalog.yml."
    yield ""
    yield from _remark(f"{plan.cells.handle.n_cells:,} cells")
    for note in (*plan.matrices, plan.gene_names):
        yield from _remark(note)
    yield from _entry("raw_expression", "ExpressionDataset", plan.files.cells, project, plan.cells.options)
    yield ""
    yield from _remark("" if plan.files.classes else f"the labels are a column of the cells' own: {_label_of(plan)}")
    yield from _entry("class_labels", "ClassLabelsDataset", plan.files.classes, project, {})
    for name in ("edges", "signalling", "regulon"):
        file = plan.knowledge.entries.get(name)
        if file is None and (name != "edges" or "edges" in plan.knowledge.entries):
            continue  # which is the default
        yield ""
        if file is None:
            yield from _remark(f"not used: the network is made of {' and '.join(plan.knowledge.entries)}")
            yield from _entry(name, "EdgeListDataset", None, project, {})
            continue
        for note in file.notes:
            yield from _remark(note)
        yield from _entry(name, "EdgeListDataset", file.path, project, file.options)
    yield ""
    yield from _new_cells(plan)


def _new_cells(plan: StudyPlan) -> Iterator[str]:
    """Where the pipeline `predict` looks for cells, read as those of the study are."""
    endings = plan.files.cells.name.lower().split(".")[1:]
    ending = ".".join(["", *endings[-2 if endings[-1:] == ["gz"] else -1 :]])
    yield from _remark(
        f"cells to predict by `kedro run --env {plan.name} --pipeline predict` once there are networks: put the file "
        "there, its values and genes of the same kind, or name another"
    )
    place = Path("data", "01_raw", plan.name, f"new_cells{ending}")
    yield from _entry("new_expression", "ExpressionDataset", place, Path(), plan.cells.options)


def _entry(name: str, kind: str, path: Path | None, project: Path, options: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name}:"
    yield f"  type: kpnn.datasets.raw.{kind}"
    yield f"  filepath: {yaml_of(None if path is None else _from_project(path, project))}"
    for option, value in options.items():
        yield f"  {option}: {yaml_of(value)}"
    yield "  metadata: {kedro-viz: {layer: raw}}"


def _from_project(path: Path, project: Path) -> str:
    place, root = path.resolve(), project.resolve()
    return (place.relative_to(root) if place.is_relative_to(root) else place).as_posix()


def _cross_validation(plan: StudyPlan) -> Iterator[str]:
    yield "# How cells are split; everything else is as conf/base/parameters.yml says."
    yield ""
    yield "cross_validation:"
    if plan.group is None:
        yield from _remark(
            "no donor or sample was named, so cells are split one by one: where several cells are of one donor, name "
            "its column (--group), or networks may learn the donor",
            2,
        )
    else:
        told = ", ".join(f"{name} in {count}" for name, count in plan.labels.groups_of_class.items())
        yield from _remark(f"cells of one {plan.group} stay together; each class in how many of them: {told}", 2)
    yield f"  group_by: {yaml_of(plan.group)}"


def _data_engineering(plan: StudyPlan) -> Iterator[str]:
    yield "# From your files to what is trained on; the rest is as conf/base/parameters_data_engineering.yml says."
    yield ""
    yield "data_engineering:"
    for note in (plan.class_sizes, *plan.labels.notes):
        yield from _remark(note, 2)
    yield from (f"  {name}: {yaml_of(value)}" for name, value in plan.labels.parameters.items())
    for note in plan.knowledge.notes:
        yield from _remark(note, 2)
    yield from (f"  {name}: {yaml_of(value)}" for name, value in plan.knowledge.parameters.items())
    values = plan.cells.values
    done = {
        "counts": "counts: each cell is scaled to the median (library_size), then ln(1 + value) is taken (log1p)",
        "logarithms": "logarithms already: neither scaled nor logged again",
        "normalized": "normalized but no logarithms: not scaled again; ln(1 + value) is taken (log1p)",
    }[values.kind]
    yield from _remark(done, 2)
    parameters = {"library_size": "median", "log1p": True} | values.parameters
    yield from (f"  {name}: {yaml_of(value)}" for name, value in parameters.items())


def _label_of(plan: StudyPlan) -> str:
    return str(plan.labels.parameters.get("label", some_names(plan.labels.labels.outputs)))


def _remark(text: str, indent: int = 0) -> list[str]:
    start = " " * indent + "# "
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False)
