"""What MLflow loads when it serves a logged predictor: MLflow's "model from code".

MLflow runs this file when the model is loaded; the weights come from the artifact folder, as
safetensors and JSON, so that no pickle is involved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class ServedModel(PythonModel):
    """Predicts log1p(views) from the embeddings of clips."""

    def load_context(self, context: Any) -> None:
        """Read the weights."""
        from tiktok_virality.models.trained import load_trained

        self.model = load_trained(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> np.ndarray:
        """Predict clips.

        Args:
            context: MLflow's; not used.
            model_input: A column for each modality that the model reads: a clip's tokens, [T, D]
                each, or ``None`` where it lacks the modality.
            params: Not used.

        Returns:
            log1p(views), float64 [N].
        """
        from tiktok_virality.training.corpus import ClipTokens
        from tiktok_virality.training.predicting import predict_log_views

        read = list(self.model.spec.token_sizes)
        clips = [
            ClipTokens(
                tokens={name: _tokens(each[name]) for name in read if each[name] is not None}
            )
            for each in model_input[read].to_dict("records")
        ]
        return predict_log_views(self.model, clips)


def _tokens(value: Any) -> np.ndarray:
    return np.asarray([list(row) for row in value], dtype=np.float32)


set_model(ServedModel())
