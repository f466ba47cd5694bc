"""One nested MLflow run per model, so that the compare page sets them side by side."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktok_virality.tracking.outbox import OUTBOX

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

MODEL_TAG = "tiktok_virality.model"
LONGEST_PARAM = 500

_silent: ContextVar[bool] = ContextVar("silent", default=False)


@dataclass(frozen=True)
class ChildRun:
    """The nested run of one model; writes by run id, so that the parent run stays the active one.

    What is logged goes through the outbox, and the run is opened, or found again, when the first of
    it is: a server that is away keeps nobody waiting.

    Attributes:
        name: Of the model.
        parent: The run of the pipeline.
    """

    name: str
    parent: Run

    @cached_property
    def client(self) -> MlflowClient:
        """A client of the tracking store of the active run."""
        from mlflow.tracking import MlflowClient

        return MlflowClient()

    @cached_property
    def run_id(self) -> str:
        """MLflow's id of the nested run."""
        experiment, parent = self.parent.info.experiment_id, self.parent.info.run_id
        found = self.client.search_runs(
            [experiment],
            f"tags.`mlflow.parentRunId` = '{parent}' and tags.`{MODEL_TAG}` = '{self.name}'",
            max_results=1,
        )
        if found:
            return str(found[0].info.run_id)
        tags = {"mlflow.parentRunId": parent, MODEL_TAG: self.name}
        return str(self.client.create_run(experiment, tags=tags, run_name=self.name).info.run_id)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log finite metrics at a step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        finite = {key: value for key, value in metrics.items() if value == value}
        entries = [Metric(key, float(value), now, step) for key, value in finite.items()]
        self._log("metrics", lambda: self.client.log_batch(self.run_id, metrics=entries))

    def log_history(self, history: Sequence[Mapping[str, float]]) -> None:
        """Log the losses of epochs that were not logged live: an earlier run had finished them."""
        self._log("epochs", lambda: self._log_missing(history))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters, flattened with dots."""
        from mlflow.entities import Param

        entries = [Param(k, str(v)[:LONGEST_PARAM]) for k, v in flatten(params).items()]
        self._log("parameters", lambda: self.client.log_batch(self.run_id, params=entries))

    def log_files(self, path: Path) -> None:
        """Log a file, or every file of a folder, as the model."""

        def log() -> None:
            if path.is_dir():
                self.client.log_artifacts(self.run_id, str(path), "model")
            else:
                self.client.log_artifact(self.run_id, str(path), "model")

        self._log("files", log)

    def log_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log rows as a JSON file."""
        content = {"rows": [dict(row) for row in rows]}
        self._log(name, lambda: self.client.log_dict(self.run_id, content, name))

    def log_served_model(self, name: str, folder: Path, code: Path) -> None:
        """Log a predictor so that ``mlflow models serve`` and ``mlflow.pyfunc.load_model`` take it.

        Args:
            name: Of the model.
            folder: Where `models.trained.save_trained` wrote it.
            code: The file that MLflow runs to load it.
        """

        def log() -> None:
            import mlflow

            with mlflow.start_run(run_id=self.run_id, nested=True, log_system_metrics=False):
                mlflow.pyfunc.log_model(
                    name=name,
                    python_model=str(code),
                    artifacts={"model": str(folder)},
                    pip_requirements=["tiktok_virality"],
                )

        self._log("the served model", log)

    def rename(self, name: str) -> None:
        """Change what people see; `child_run` still finds it under the name of the model."""
        self._log("name", lambda: self.client.set_tag(self.run_id, "mlflow.runName", name))

    def finish(self) -> None:
        """Mark the run as finished."""
        self._log("end", lambda: self.client.set_terminated(self.run_id))

    def _log(self, what: str, call: Callable[[], Any]) -> None:
        OUTBOX.log(f"{what} of {self.name}", call)

    def _log_missing(self, history: Sequence[Mapping[str, float]]) -> None:
        live = {entry.step for entry in self.client.get_metric_history(self.run_id, "train_loss")}
        for epoch in history:
            if int(epoch["epoch"]) not in live:
                losses = {name: epoch[name] for name in ("train_loss", "validation_loss")}
                self.log_metrics(losses, step=int(epoch["epoch"]))


def child_run(name: str) -> ChildRun | None:
    """Return the nested run of model ``name`` under the active run, opened or found when needed.

    Returns:
        The run, or ``None`` when no run is active: in a notebook or a test without tracking, and
        inside `untracked`.
    """
    parent = None if _silent.get() else OUTBOX.run or _active_run()
    return None if parent is None else ChildRun(name, parent)


@contextmanager
def untracked() -> Iterator[None]:
    """Keep what is trained inside out of the runs of models, such as repeats under other seeds."""
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


def log_epoch(name: str, step: int, metrics: Mapping[str, float]) -> None:
    """Log the losses of an epoch to the nested run of a model, live, if there is an active run."""
    run = child_run(name)
    if run is not None:
        run.log_metrics(metrics, step=step)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one level, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _active_run() -> Any:
    """Return MLflow's active run; a process that has not imported mlflow has none."""
    mlflow = sys.modules.get("mlflow")
    return mlflow.active_run() if mlflow is not None else None
