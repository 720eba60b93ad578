"""How the project is run: Kedro's hooks and the command line."""

import os

# MLflow asks its makers' server, and sends them what is used, unless this says otherwise before it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# `mlflow ui` starts ten more processes, of 250 MB each, that judge the answers of language models.
os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
