"""MLflow runs of single models, nested under the run of the pipeline."""

from tiktok_virality.tracking.child_runs import ChildRun, child_run, log_epoch, untracked

__all__ = ["ChildRun", "child_run", "log_epoch", "untracked"]
