"""A user's project whose pipelines run in the test's own process."""

from pathlib import Path

from kedro.framework.project import configure_project
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner

from kpnn.pipelines import data_engineering
from kpnn.pipelines.parameters import all_settings
from kpnn.studies import StudyConfigLoader

OUTPUTS = ("matched_cells", "pkn", "full_dag", "folds", "data_summary")


class Study:
    """A project folder whose pipelines run in this process."""

    def __init__(self, env="local", more=None):
        configure_project("kpnn")
        config = StudyConfigLoader("conf", env, base_env="base", default_run_env="local")
        entries = {**config["catalog"], **(more or {})}
        self.catalog = DataCatalog.from_config(
            {name: entry for name, entry in entries.items() if "mlflow" not in str(entry)}
        )
        self.parameters = config["parameters"]

    def run(self, pipeline, **changes):
        changed = self.parameters | {name: {**self.parameters[name], **more} for name, more in changes.items()}
        for name, settings in all_settings(changed).items():
            self.catalog[f"params:{name}"] = settings
        SequentialRunner().run(pipeline, self.catalog)

    def load(self, name):
        return self.catalog.load(name)

    def engineer(self, **changes):
        self.run(data_engineering.create_pipeline(), **changes)
        return {name: self.load(name) for name in OUTPUTS}

    @staticmethod
    def written():
        layers = ("02_intermediate", "03_primary", "04_feature", "05_model_input", "08_reporting")
        return [path.name for layer in layers for path in Path("data", layer).rglob("*") if path.is_file()]
