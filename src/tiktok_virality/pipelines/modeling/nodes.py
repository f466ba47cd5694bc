"""Baselines, the two modality Transformers, the ensemble, its ablation, and what they predict."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.models import baselines as baseline_models
from tiktok_virality.models.baselines import FittedBaseline
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.trained import ModelKind, ModelSpec, TrainedModel
from tiktok_virality.schema import SPLITS
from tiktok_virality.training.corpus import ModelInput, assemble, pooled
from tiktok_virality.training.parameters import TrainingParameters


def assemble_clips(
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    visual_embeddings: StageTable,
    audio_embeddings: StageTable,
) -> ModelInput:
    """Bring together what the models may know of each clip, and its views.

    Raises:
        DataError: A split would be empty.
    """
    return assemble(manifest, splits, visual_embeddings, audio_embeddings)


def fit_baselines(model_input: ModelInput, seed: int) -> dict[str, FittedBaseline]:
    """Fit every baseline on the training split."""
    train = model_input.splits["train"]
    return baseline_models.fit_baselines(
        pooled(train, model_input.token_sizes), train.log_views, train.groups, seed
    )


def train_visual_model(
    model_input: ModelInput,
    transformer: TransformerConfig,
    training: TrainingParameters,
    seed: int,
    device: str,
    checkpoints: Path,
) -> TrainedModel:
    """Train the visual Transformer alone."""
    return _train("visual", model_input, transformer, training, seed, device, checkpoints)


def train_audio_model(
    model_input: ModelInput,
    transformer: TransformerConfig,
    training: TrainingParameters,
    seed: int,
    device: str,
    checkpoints: Path,
) -> TrainedModel:
    """Train the audio Transformer alone."""
    return _train("audio", model_input, transformer, training, seed, device, checkpoints)


def train_early_fusion(
    model_input: ModelInput,
    transformer: TransformerConfig,
    training: TrainingParameters,
    seed: int,
    device: str,
    checkpoints: Path,
) -> TrainedModel:
    """Train the ablation: one Transformer over the tokens of both modalities."""
    return _train("early_fusion", model_input, transformer, training, seed, device, checkpoints)


def train_ensemble(
    model_input: ModelInput,
    visual_model: TrainedModel,
    audio_model: TrainedModel,
    transformer: TransformerConfig,
    fine_tuning: TrainingParameters,
    seed: int,
    device: str,
    checkpoints: Path,
) -> TrainedModel:
    """Train the late fusion end to end, from the two modality models."""
    start = {"visual": visual_model, "audio": audio_model}
    return _train(
        "late_fusion", model_input, transformer, fine_tuning, seed, device, checkpoints, start
    )


def predict(
    model_input: ModelInput,
    baselines: dict[str, FittedBaseline],
    visual_model: TrainedModel,
    audio_model: TrainedModel,
    early_fusion: TrainedModel,
    ensemble: TrainedModel,
) -> pd.DataFrame:
    """Let every model predict every clip of every split.

    Returns:
        ``video_id``, ``split``, ``model``, ``modality``, ``y_true`` and ``y_pred`` (log1p views),
        ``lower`` and ``upper`` (missing until intervals are calibrated).
    """
    from tiktok_virality.training.predictors import predict_log_views

    tables = []
    for split in SPLITS:
        clips = model_input.splits[split]
        features = pooled(clips, model_input.token_sizes)
        predicted = {
            (name, baseline.modality): baseline.predict(features)
            for name, baseline in baselines.items()
        }
        for model in (visual_model, audio_model, early_fusion, ensemble):
            predicted[model.name, model.modality] = predict_log_views(model, clips.tokens)
        for (name, modality), y_pred in predicted.items():
            tables.append(
                pd.DataFrame(
                    {
                        "video_id": clips.ids,
                        "split": split,
                        "model": name,
                        "modality": modality,
                        "y_true": clips.log_views,
                        "y_pred": y_pred,
                        "lower": float("nan"),
                        "upper": float("nan"),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def _train(
    kind: ModelKind,
    model_input: ModelInput,
    transformer: TransformerConfig,
    training: TrainingParameters,
    seed: int,
    device: str,
    checkpoints: Path,
    start: dict[str, TrainedModel] | None = None,
) -> TrainedModel:
    from tiktok_virality.training.launcher import TrainingRun
    from tiktok_virality.training.predictors import train_predictor

    spec = ModelSpec(kind=kind, transformer=transformer, token_sizes=model_input.token_sizes)
    run = TrainingRun.of(
        spec.name,
        [
            model_input.fingerprint,
            spec.model_dump(mode="json"),
            training.model_dump(mode="json"),
            {name: model.digest for name, model in (start or {}).items()},
        ],
        checkpoints=checkpoints,
        seed=seed,
        device=device,
    )
    train, validation = model_input.splits["train"], model_input.splits["validation"]
    return train_predictor(spec, train, validation, training, run, start)
