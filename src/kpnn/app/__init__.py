"""How the project is run: Kedro's hooks and the command line."""
