"""The lottery: views that a drawn world plants on clips, and which models find what moves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.demo.lottery import LotteryWorld, lottery_factors, plant_lottery
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.execution import Done, Outcome, StageItem
from tiktok_virality.schema import SPLITS, digest
from tiktok_virality.training.corpus import ClipTokens, LabelledClips, ModelInput, assemble

if TYPE_CHECKING:
    from tiktok_virality.models.trained import TrainedModel
    from tiktok_virality.training.lineup import Recipe, Setting

FACTORS: Final = "factors"
"""What models know that are shown what was planted: how much can be learned from so few."""

NOISE: Final = "noise"
NOISE_TOKENS: Final = (8, 64)
"""Tokens, and numbers in each, of a modality that knows nothing."""


@dataclass
class WorldTrainer:
    """Plants the views of a world, trains on them, and says what was found.

    Columns: ``reachable``, the R² of a perfect model on the test clips; ``scores``, of every model
    ``model``, ``modality`` and ``r2``; ``found``, of every cause ``factors`` (one, or two of a
    product), ``shape``, ``share`` of the variance and ``slope``, how far the ensemble's prediction
    goes along with its effect (1 is all of it, 0 nothing); ``r2_with_noise``, of the ensemble with
    a modality of pure noise besides.

    Attributes:
        clips: What was planted in each clip.
        manifest: The same clips, as ingestion found them.
        splits: In which split each is.
        tables: Their tokens, by modality.
        recipe: How the Transformers are trained.
        seed: Of noise, creators, weights and batches.
    """

    clips: pd.DataFrame
    manifest: pd.DataFrame
    splits: pd.DataFrame
    tables: Mapping[str, StageTable]
    recipe: Recipe
    seed: int
    _input: ModelInput | None = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        tables = {name: [t.fingerprint, dict(t.digests)] for name, t in self.tables.items()}
        frames = [self.clips, self.manifest, self.splits]
        return {
            "version": 3,
            "tables": digest(tables),
            "clips": [_digest_of(frame) for frame in frames],
            "recipe": [
                part.model_dump(mode="json")
                for part in (
                    self.recipe.transformer,
                    self.recipe.training,
                    self.recipe.fine_tuning,
                )
            ],
            "seed": self.seed,
        }

    def setup(self) -> None:
        """Read all tokens; a worker has one core."""
        import torch

        torch.set_num_threads(1)
        self._input = assemble(self.manifest, self.splits, self.tables, TargetParameters())

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Play worlds, one after the other."""
        return [Done(video_id=item.video_id, columns=self._play(item.payload)) for item in items]

    def _play(self, world: LotteryWorld) -> dict[str, Any]:
        from sklearn.metrics import r2_score

        from tiktok_virality.training.lineup import train_late_fusion

        assert self._input is not None
        planted = plant_lottery(self.clips, world, self.seed).set_index("video_id")
        clips = with_views(self._input, planted["log_views"], world.name)
        test = clips.splits["test"]
        here = planted.loc[list(test.ids)]
        perfect = (here["log_views"] - here["creator_effect"] - here["noise"]).to_numpy()
        with TemporaryDirectory(prefix="world-") as folder:
            setting = self._setting(folder)
            alone, ensemble = train_late_fusion(setting, clips, self.recipe)
            noisy = self._with_noise(clips, alone, setting)
        models = self._models(clips, [*alone.values(), ensemble])
        predictions = {**models, **self._know_factors(clips, planted)}
        said = predictions["ensemble"][1]
        return {
            "reachable": float(r2_score(test.log_views, perfect)),
            "scores": [
                {"model": name, "modality": known, "r2": float(r2_score(test.log_views, y_pred))}
                for name, (known, y_pred) in predictions.items()
            ],
            "found": [
                {
                    "factors": list(cause.factors),
                    "shape": cause.shape,
                    "share": cause.share,
                    "slope": _slope(here[cause.column].to_numpy(), said),
                }
                for cause in world.causes
            ],
            "r2_with_noise": float(r2_score(test.log_views, noisy)),
        }

    def _models(
        self, clips: ModelInput, models: Sequence[TrainedModel]
    ) -> dict[str, tuple[str, np.ndarray]]:
        """Return what each baseline and model knows and says of the test clips, [N]."""
        from tiktok_virality.models.baselines import fit_baselines
        from tiktok_virality.training.corpus import pooled
        from tiktok_virality.training.lineup import predict_all

        taught = clips.open_clips
        baselines = fit_baselines(
            pooled(taught, clips.token_sizes), taught.log_views, taught.groups, self.seed
        )
        asked = replace(clips, splits={"test": clips.splits["test"]})
        rows = predict_all(asked, baselines, baselines, models, {}, self.seed)
        return {
            str(name): (str(part["modality"].iloc[0]), part["y_pred"].to_numpy())
            for name, part in rows.groupby("model", sort=False)
        }

    def _with_noise(
        self, clips: ModelInput, alone: Mapping[str, TrainedModel], setting: Setting
    ) -> np.ndarray:
        """Return what the ensemble says of the test clips with a modality of noise, [N].

        The other modality models are those of the world: noise beside them changes none.
        """
        from tiktok_virality.training.lineup import train_model
        from tiktok_virality.training.predicting import predict_log_views

        noisy, shape = with_noise(clips, self.seed), self.recipe.transformer
        of_noise = train_model(
            "modality", noisy, shape, self.recipe.training, setting, modality=NOISE
        )
        start = {**alone, NOISE: of_noise}
        ensemble = train_model(
            "late_fusion", noisy, shape, self.recipe.fine_tuning, setting, start=start
        )
        return predict_log_views(ensemble, noisy.splits["test"].tokens)

    def _know_factors(
        self, clips: ModelInput, planted: pd.DataFrame
    ) -> dict[str, tuple[str, np.ndarray]]:
        from threadpoolctl import threadpool_limits

        from tiktok_virality.models.baseline_estimators import fit_boosting, fit_ridge

        taught, test = clips.open_clips, clips.splits["test"]
        known, _ = lottery_factors(planted.reset_index())
        places = {video_id: place for place, video_id in enumerate(planted.index)}
        learn, ask = (known[[places[i] for i in part.ids]] for part in (taught, test))
        groups = taught.groups.astype(str)
        with threadpool_limits(1):
            fitted = {
                "planted_boosting": fit_boosting(learn, taught.log_views, groups, {}),
                "planted_ridge": fit_ridge(learn, taught.log_views, groups),
            }
        return {name: (FACTORS, model.predict(ask)) for name, model in fitted.items()}

    def _setting(self, folder: str) -> Setting:
        from tiktok_virality.training.lineup import Setting

        return Setting(seed=self.seed, device="cpu", checkpoints=Path(folder), quiet=True)


def with_views(clips: ModelInput, log_views: pd.Series, label: str) -> ModelInput:
    """Return the same clips with other views: natural logarithms, by ``video_id``."""
    splits = {
        name: replace(
            part,
            log_views=np.logaddexp(0.0, log_views.loc[list(part.ids)].to_numpy(dtype=np.float64)),
        )
        for name, part in clips.splits.items()
    }
    return replace(
        clips, splits=splits, label=label, fingerprint=digest([clips.fingerprint, label])
    )


def with_noise(clips: ModelInput, seed: int) -> ModelInput:
    """Return the same clips with one modality more, of tokens that know nothing."""
    rng = np.random.default_rng([seed, *NOISE.encode()])

    def noisy(part: LabelledClips) -> LabelledClips:
        tokens = [
            ClipTokens(
                tokens={
                    **clip.tokens,
                    NOISE: rng.standard_normal(NOISE_TOKENS).astype(np.float32),
                },
                words=clip.words,
            )
            for clip in part.tokens
        ]
        return replace(part, tokens=tokens)

    return replace(
        clips,
        splits={name: noisy(clips.splits[name]) for name in SPLITS},
        token_sizes={**clips.token_sizes, NOISE: NOISE_TOKENS[1]},
        label=f"{clips.label}_{NOISE}",
    )


def _slope(effect: np.ndarray, predicted: np.ndarray) -> float:
    apart = effect - effect.mean()
    spread = float(apart @ apart)
    return float(apart @ predicted) / spread if spread else float("nan")


def _digest_of(table: pd.DataFrame) -> str:
    hashed = pd.util.hash_pandas_object(table.astype("string"), index=False)
    return sha256(hashed.to_numpy().tobytes()).hexdigest()
