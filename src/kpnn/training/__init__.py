"""Training and evaluation: cross-validation, tuning, metrics, comparison, executors."""
