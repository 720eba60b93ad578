"""How the project is run: Kedro's hooks and the command line."""

import os

# MLflow asks its makers' server, and sends them what is used, unless this says otherwise before it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
