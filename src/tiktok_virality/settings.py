"""Kedro's project settings: hooks and configuration loading."""

import os

# Before mlflow is imported. A user who wants to send usage data sets the variable to "false".
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from kedro.config import OmegaConfigLoader  # noqa: E402

from tiktok_virality.hooks import ParameterHooks, PlantedCorpusHooks, TrackingHooks  # noqa: E402

# TrackingHooks extends kedro-mlflow's own hooks, which must therefore not register themselves too.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-mlflow", "kedro_mlflow")
HOOKS = (ParameterHooks(), PlantedCorpusHooks(), TrackingHooks())

CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
