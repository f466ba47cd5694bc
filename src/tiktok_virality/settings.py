"""Kedro's project settings: hooks, configuration loading, and no telemetry unless asked for."""

import logging
import os
import warnings

from mlflow.telemetry import set_telemetry_client

from tiktok_virality.configuration import LOADER_OPTIONS, ProjectConfigLoader
from tiktok_virality.hooks import ParameterHooks, PipelineHooks, RunLockHooks, TrackingHooks

# A user who wants to send usage data sets the variable to "false". Kedro's plugins have imported
# mlflow by now, so its client is asked to look again.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
set_telemetry_client()
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A server that does not answer keeps a run waiting for so long once, and is then asked shortly now
# and then (tracking.outbox). MLflow's own patience is minutes for each thing that is logged.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

warnings.filterwarnings("ignore", message="register_new_resolver")
warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.(data|types)\.")
# mlflow sets its own level on import, after conf/logging.yml was read.
logging.getLogger("mlflow").setLevel(logging.WARNING)
logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)

# TrackingHooks extends kedro-mlflow's own hooks, which must therefore not register themselves too.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-mlflow", "kedro_mlflow")
HOOKS = (ParameterHooks(), PipelineHooks(), RunLockHooks(), TrackingHooks())

CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = LOADER_OPTIONS
