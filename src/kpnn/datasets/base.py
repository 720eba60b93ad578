"""What all of the catalog's own datasets share: any file system, versions, and writing that is whole or not at all."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, TypeVar

import fsspec
from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro.io.core import get_filepath_str, get_protocol_and_path

from kpnn.addresses import first_line
from kpnn.errors import KpnnError
from kpnn.files import settled, written_whole

_In = TypeVar("_In")
_Out = TypeVar("_Out")


class FileDataset(AbstractVersionedDataset[_In, _Out]):
    """A file or folder on any file system that fsspec knows, with versions if `versioned: true`.

    On this machine's own disks, whatever ends a run leaves what was there before or what the run wrote, whole. An
    object store does the same for a file; a folder there is replaced file by file. Readers and writers see local
    paths only: what lies elsewhere is copied.

    A subclass says how to `_read` and `_write` one local path.

    Attributes:
        optional: loading gives None where there is nothing, for pipelines that report whatever exists.

    Examples:
        What every type of `kpnn.datasets` takes:

        ```yaml
        pruned.node_weights:
          type: kpnn.datasets.tables.TableDataset
          filepath: s3://bucket/mystudy/node_weights.csv
          credentials: my_bucket
          versioned: true
          optional: true
        ```
    """

    _if_missing: ClassVar[str] = "run the pipeline that writes it first, or the whole study with `kedro run`"
    _init_args: dict[str, Any]  # Kedro's, of the constructor
    _read_later: ClassVar[bool] = False  # what `_read` gives goes on reading from its file

    def __init__(
        self,
        *,
        filepath: str,
        optional: bool = False,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ):
        """Names the file or folder.

        Args:
            filepath: a path, relative to the project, or an address such as `s3://bucket/cells.h5ad`.
            optional: loading gives None where there is nothing.
            version: Kedro's, from `versioned: true`.
            credentials: for the file system, by the name of an entry in `credentials.yml`.
            fs_args: further arguments of the file system.
            metadata: anything for other tools, such as kedro-viz; not used here.
        """
        self._protocol, path = get_protocol_and_path(filepath, version)
        self._fs = fsspec.filesystem(self._protocol, **(credentials or {}), **(fs_args or {}))
        self.optional = optional
        self.metadata = metadata
        super().__init__(PurePosixPath(path), version, self._fs.exists, self._fs.glob)

    @abstractmethod
    def _read(self, path: Path) -> _Out:
        """Reads the file or folder."""

    @abstractmethod
    def _write(self, path: Path, data: _In) -> None:
        """Writes the file or folder, which does not exist yet."""

    def load(self) -> _Out:
        """Reads what was saved; None where there is nothing and that is allowed.

        Raises:
            DatasetError: there is nothing, or it cannot be read.
        """
        if not self.exists():
            if self.optional:
                return None  # type: ignore[return-value] # stated by `optional`
            raise self._error(f"{self._address}: no such file; {self._if_missing}")
        with self._local(self._place(self._get_load_path())) as path:
            try:
                return self._read(path)
            except (KpnnError, DatasetError):
                raise
            except MemoryError as error:
                raise self._error(
                    f"{self._address}: takes more memory than there is, or is damaged ({first_line(error)}): "
                    f"{self._if_missing}"
                ) from error
            except Exception as error:  # of whatever library reads such files
                raise self._error(
                    f"{self._address}: cannot be read; it is damaged, or something else ({first_line(error)}): "
                    f"{self._if_missing}"
                ) from error

    def save(self, data: _In) -> None:
        """Writes beside what is there, and puts it in its place when it is whole.

        Args:
            data: what the dataset keeps.
        """
        place = self._place(self._get_save_path())
        if self._is_local:
            with written_whole(place) as path:
                self._write(path, data)
            self._remember(Path(place))
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / PurePosixPath(place).name
                self._write(path, data)
                self._upload(path, place)

    def _remember(self, path: Path) -> None:
        """Takes note of a file on this machine's disks that this process has written."""

    def _exists(self) -> bool:
        place = self._place(self._get_load_path())
        return settled(place).exists() if self._is_local else self._fs.exists(place)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._address, "version": self._version}

    def _init_config(self) -> dict[str, Any]:
        self._init_args |= self._init_args.pop("options", {})  # what a subclass takes as **options
        return super()._init_config()

    def _release(self) -> None:
        super()._release()
        self._fs.invalidate_cache(self._place(self._filepath))

    @property
    def _is_local(self) -> bool:
        return self._protocol == "file"

    @property
    def _address(self) -> str:
        return str(self._filepath) if self._is_local else self._fs.unstrip_protocol(str(self._filepath))

    def _error(self, message: str) -> DatasetError:
        return DatasetError(message)

    def _place(self, path: PurePosixPath) -> str:
        return get_filepath_str(path, self._protocol)

    @contextmanager
    def _local(self, place: str) -> Iterator[Path]:
        if self._is_local:
            yield Path(place)
            return
        folder = tempfile.mkdtemp(prefix="kpnn-")
        try:
            path = Path(folder) / PurePosixPath(place).name
            self._download(place, path)
            yield path
        finally:
            if self._read_later:
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
            else:
                shutil.rmtree(folder, ignore_errors=True)

    def _download(self, place: str, path: Path) -> None:
        if not self._fs.isdir(place):
            self._fs.get_file(place, str(path))
            return
        for part in self._fs.find(place):
            target = path / PurePosixPath(part).relative_to(self._fs._strip_protocol(place))
            target.parent.mkdir(parents=True, exist_ok=True)
            self._fs.get_file(part, str(target))

    def _upload(self, path: Path, place: str) -> None:
        if path.is_dir() and self._fs.exists(place):
            self._fs.rm(place, recursive=True)
        files = (part for part in sorted(path.rglob("*")) if part.is_file()) if path.is_dir() else (path,)
        for part in files:
            target = f"{place}/{part.relative_to(path).as_posix()}" if path.is_dir() else place
            self._fs.makedirs(self._fs._parent(target), exist_ok=True)
            self._fs.put_file(str(part), target)
        self._fs.invalidate_cache(place)
