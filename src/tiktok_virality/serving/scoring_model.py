"""What MLflow loads when it serves the scorer: MLflow's "model from code".

kedro-mlflow's `pipeline_ml_factory` cannot carry the scoring pipeline: it keeps in memory whatever
a pipeline makes on its way, and a stage is carried out by the dataset that its plan is saved to.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel

CLIP = "clip"
CAPTION = "caption"
ERROR = "error"


class ScoringModel(PythonModel):
    """Scores clips that are named by path or address, or are sent in base64."""

    def load_context(self, context: Any) -> None:
        """Load the models, and what reads clips."""
        from tiktok_virality.serving.bundle import open_bundle
        from tiktok_virality.serving.together import ScoredTogether

        scorer = open_bundle(Path(context.artifacts["bundle"]))
        self.scorer = ScoredTogether(scorer.score)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Score clips; those of requests that wait are scored together.

        Args:
            context: MLflow's; not used.
            model_input: ``clip``, as `sources.fetch_clip` takes it, and perhaps ``caption``.
            params: Not used.

        Returns:
            A row per clip, in the same order: the columns of `score_clips`, and ``error``, why it
            could not be scored, or nothing.

        Raises:
            MlflowException: None could be scored; a service answers 400.
        """
        from tiktok_virality.execution.resident import start_beside
        from tiktok_virality.modalities import LOADED_BESIDE
        from tiktok_virality.schema import DataError
        from tiktok_virality.serving.scorer import Draft
        from tiktok_virality.serving.sources import fetch_clip

        asked = model_input.reindex(columns=[CLIP, CAPTION]).astype("object")
        errors: dict[int, str] = {}
        rows: dict[int, dict[str, Any]] = {}
        with TemporaryDirectory(prefix="request-") as folder:
            drafts = {}
            for place, (source, caption) in enumerate(asked.itertuples(index=False)):
                try:
                    path = fetch_clip(str(source), Path(folder) / f"{place}")
                except DataError as error:
                    errors[place] = str(error)
                    continue
                written = None if pd.isna(caption) else str(caption)
                drafts[place] = Draft(path=path, caption=written, title=str(place))
            if drafts:  # not where MLflow only tries the example of a model that it stores
                start_beside(LOADED_BESIDE)
            try:
                answer = self.scorer.score(list(drafts.values())) if drafts else None
            except DataError as error:
                errors |= dict.fromkeys(drafts, str(error))
                answer = None
        if answer is not None:
            scored = [
                {str(name): value for name, value in row.items()}
                for row in answer.scores.to_dict("records")
            ]
            rows = {int(row["video_id"]): row for row in scored}
            for lost in answer.unscored.to_dict("records"):
                errors[int(lost["video_id"])] = f"{lost['reason']}: {lost['detail']}"
        if not rows:
            first = next(iter(errors.values()), "No clip was sent.")
            raise MlflowException(first, error_code=INVALID_PARAMETER_VALUE)
        told = [
            {**rows.get(place, {}), "video_id": str(place), ERROR: errors.get(place)}
            for place in range(len(asked))
        ]
        table = pd.DataFrame(told).astype("object")
        return table.where(table.notna(), None)  # JSON has no NaN


set_model(ScoringModel())
