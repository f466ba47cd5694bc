"""MLflow's page of one run's models beside each other, with the columns that count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

VIEW: Final = "models"
"""The share key of the view; a later run of the experiment takes it over."""

VIEW_TAG: Final = f"mlflow.sharedViewState.{VIEW}"
"""Where MLflow's interface looks for a view that its address names."""

COLUMNS: Final = ("test_skill_mean", "test_r2", "test_mse", "test_spearman")


def share_comparison(client: MlflowClient, experiment_id: str, run_id: str) -> str:
    """Make the view of a run's models, the best first, and return where it is.

    Which page of an experiment MLflow opens, and with which columns, is otherwise kept in each
    browser: a new one shows an overview of traces, and runs without a metric.

    Args:
        client: Of the store.
        experiment_id: Of the run.
        run_id: Whose nested runs are compared.

    Returns:
        The part of the address behind that of the server.
    """
    client.set_experiment_tag(experiment_id, VIEW_TAG, json.dumps(view_of(run_id)))
    return (
        f"/#/experiments/{experiment_id}/runs"
        f"?workflowType=machine_learning&viewStateShareKey={VIEW}"
    )


def view_of(run_id: str) -> dict[str, Any]:
    """Return the state of MLflow's table of runs that shows the models of one run.

    Args:
        run_id: Of the run.
    """
    return {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{run_id}' and metrics.test_mse >= 0",
        "orderByKey": f"metrics.`{COLUMNS[0]}`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [f"metrics.`{name}`" for name in COLUMNS],
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsHiddenMode": "FIRST_10_RUNS",
        "runsVisibilityMap": {},
        "compareRunCharts": [],
        "compareRunSections": [],
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
    }
