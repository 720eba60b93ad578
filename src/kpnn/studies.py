"""Studies: an environment in `conf/` is one, with a place of its own in every layer of `data/` and in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError, YAMLError, safe_load

from kpnn.errors import SettingsError, near_names


class StudyConfigLoader(OmegaConfigLoader):
    """Kedro's configuration loader, except that it knows studies and joins environments.

    `--env tcr,cluster` lays `conf/tcr` over `conf/base` and `conf/cluster` over both. The first environment is the
    study, and the others add to it. `${globals:study}` is its name wherever configuration is read: what the
    environment's own `globals.yml` says, or else the name of its folder.
    """

    def __init__(self, conf_source: str | Path, env: str | None = None, **options: Any) -> None:
        """Takes what Kedro's own loader takes.

        Args:
            conf_source: the folder `conf`, or an archive of it.
            env: one environment or several, joined by commas.
            **options: of Kedro's loader.

        Raises:
            SettingsError: an environment does not exist.
        """
        self._additions: tuple[str, ...] = ()  # Kedro reads the globals before this can be known
        first, *additions = [name.strip() for name in env.split(",")] if env else [""]
        super().__init__(conf_source, first or None, **options)
        if self._protocol == "file":
            self._require(name for name in (first, *additions) if env)
        own = self._globals_of(first) if first else {}
        is_study = first not in ("", self.base_env, self.default_run_env)
        study = own.get("study", first if is_study else self._globals.get("study"))
        if not isinstance(study, str) or not study.strip(". ") or {"/", "\\"} & set(study):
            raise SettingsError(f"{first or self.base_env}/globals.yml: study is the name of a folder, found {study}")
        self._additions = tuple(additions)
        self["globals"] = {**self._with_additions("globals", self._globals), "study": study}

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Reads one kind of configuration, such as `catalog`, from all environments.

        Raises:
            SettingsError: a file is not YAML, or two files of one environment say the same.
        """
        try:
            config = super().__getitem__(key)
        except (ValueError, YAMLError) as error:
            raise SettingsError(f"{self.conf_source}: {self._in_words(error)}") from error
        return config if key in self.data else self._with_additions(key, config)

    def _merge_configs(
        self, config: dict[str, Any], env_config: dict[str, Any], key: str, env_path: str
    ) -> dict[str, Any]:
        said = _without_defaults_of_mlflow(env_config) if key == "mlflow" else env_config
        strange = _no_group(config, said)
        if strange:
            raise SettingsError(f"{env_path}: {strange} is a group, which says `NAME: value`, and no list")
        return dict(super()._merge_configs(config, said, key, env_path))

    def _in_words(self, error: Exception) -> str:
        """What is wrong with a file, and with which: Kedro names only those that cannot be parsed at all."""
        if isinstance(error, OmegaConfBaseException):
            said = str(error).splitlines()[0].rpartition("raised while resolving interpolation: ")[2]
            unquoted = said.strip('"')
            return f"{error.full_key}: {unquoted}"
        if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
            return str(error)
        for path in sorted(Path(self.conf_source).glob("*/**/*.yml")):
            try:
                OmegaConf.load(path)
            except MarkedYAMLError as found:
                if found.problem == error.problem and found.problem_mark is not None:
                    return f"{path}, line {found.problem_mark.line + 1}: {found.problem}"
            except OSError:
                continue
        return str(error)

    def _with_additions(self, key: str, config: dict[str, Any]) -> dict[str, Any]:
        for name in self._additions:
            path = self._get_conf_env_path(name)
            more = self.load_and_merge_dir_config(path, self.config_patterns[key], key, set())
            config = self._merge_configs(config, more, key, path)
        return config

    def _globals_of(self, name: str) -> dict[str, Any]:
        path = self._get_conf_env_path(name)
        return dict(self.load_and_merge_dir_config(path, self.config_patterns["globals"], "globals", set()))

    def _require(self, names: Any) -> None:
        root = Path(self.conf_source)
        there = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        for name in names:
            if not name or not (root / name).is_dir():
                advice = near_names(name, there)
                raise SettingsError(f"no environment `{name}`: {root.name}/{name} is not a folder; {advice}")


def _no_group(config: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """The first name that stands for a group of values in the one and for something else in the other; else empty."""
    for name in sorted(set(config) & set(said), key=str):
        below, above = config[name], said[name]
        if isinstance(below, Mapping) and isinstance(above, Mapping):
            inner = _no_group(below, above)
            if inner:
                return f"{name}.{inner}"
        elif isinstance(below, Mapping) and isinstance(above, list):
            return str(name)
    return ""


def _without_defaults_of_mlflow(config: dict[str, Any]) -> dict[str, Any]:
    """What of a `mlflow.yml` somebody wrote: not the defaults that `kedro mlflow init` fills it with.

    They would take the place of what `conf/base` says, and name a store of files, which MLflow refuses.
    """
    import kedro_mlflow

    template = Path(kedro_mlflow.__file__).parent / "template" / "project" / "mlflow.yml"
    if not template.is_file():
        return config
    text = template.read_text(encoding="utf-8").replace("{{ python_package }}", "kpnn")
    try:
        return _beyond(config, safe_load(text))
    except YAMLError:  # another version's template, which is more than a name
        return config


def _beyond(config: dict[str, Any], defaults: Any) -> dict[str, Any]:
    """The values of a nested dict that are not its defaults'."""
    if not isinstance(defaults, dict):
        return config
    told: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            inner = _beyond(value, defaults.get(name))
            if inner:
                told[name] = inner
        elif name not in defaults or value != defaults[name]:
            told[name] = value
    return told
