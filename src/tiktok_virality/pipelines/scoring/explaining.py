"""What moves the answer about a clip: what it is made of, its moments, its words, its like."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.novelty import NoveltyModel
from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.training import occlusion
from tiktok_virality.training.corpus import ClipTokens


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How much is asked about a clip, and shown of it.

    Attributes:
        by_modality: Whether each moment is asked about once for every modality, too, which takes
            several times as long.
        picture: Pixels across and down, at most, of the stills that are shown.
    """

    by_modality: bool = True
    picture: tuple[int, int] = (160, 240)


THOROUGH: Final = Detail()

ALIKE: Final = 4
"""Training clips that are named as alike."""


def explain_clips(
    clips: list[ClipTokens],
    manifest: pd.DataFrame,
    frames: StageTable,
    corpus: pd.DataFrame,
    ensemble: TrainedModel,
    novelty_model: dict[str, np.ndarray],
    target: TargetParameters,
    word_effects: pd.DataFrame | None = None,
    timed_words: pd.DataFrame | None = None,
    detail: Detail = THOROUGH,
) -> dict[str, Any]:
    """Say what moves the answer about each clip.

    Every effect is what the ensemble says of the clip less what it says without the part, on the
    scale of the target; ``times`` is how many times as many views it expects with the part as
    without it, missing where the target has no views.

    Args:
        clips: What the models are told of them, with times.
        manifest: Of the clips, in the same order.
        frames: Their stills, with times.
        corpus: The manifest of the clips that the models know.
        ensemble: The model whose answer counts.
        novelty_model: Of `fit_novelty`.
        target: What is predicted.
        word_effects: ``video_id``, ``field``, ``place``, ``word``, ``effect``, where somebody
            weighed words.
        timed_words: ``video_id``, ``start_seconds``, ``end_seconds``, ``field``, ``line``, where
            somebody read them.
        detail: How much is asked and shown.

    Returns:
        By ``video_id``: ``prediction``; ``modalities``, each with ``modality``, ``effect`` and
        ``times``; ``moments``, each with ``start_seconds``, ``end_seconds``, ``effect``, ``times``,
        ``by_modality`` (effects) and ``words``, by field; ``words``, each with ``field``,
        ``place``, ``word``, ``effect`` and ``times``; and ``alike``, each with ``video_id``,
        ``distance`` and ``truth``, in views or on the scale of the target; and ``pictures``, small
        stills, each with ``seconds`` and ``jpeg``, in base64.
    """
    explainer = _Explainer(
        ensemble, NoveltyModel.from_arrays(novelty_model), Target(parameters=target), corpus, detail
    )
    seconds = manifest["duration_seconds"].astype(float).tolist()
    ids = manifest["video_id"].tolist()
    return {
        video_id: {
            **explainer.explain(
                video_id,
                clip,
                length,
                _rows_of(word_effects, video_id),
                _rows_of(timed_words, video_id),
            ),
            "pictures": list(_pictures(frames, video_id, detail.picture)),
        }
        for video_id, clip, length in zip(ids, clips, seconds, strict=True)
    }


class _Explainer:
    """Explains one clip after the other."""

    def __init__(
        self,
        model: TrainedModel,
        novelty: NoveltyModel,
        target: Target,
        corpus: pd.DataFrame,
        detail: Detail,
    ) -> None:
        self._model = model
        self._detail = detail
        self._novelty = novelty
        self._target = target
        truth = target.truth(corpus, np.ones(len(corpus), dtype=bool))
        views = target.views(truth)
        values = truth if views is None else views
        self._truth = dict(zip(corpus["video_id"], values.tolist(), strict=True))

    def explain(
        self,
        video_id: str,
        clip: ClipTokens,
        seconds: float,
        words: Sequence[Mapping[Any, Any]],
        timed: Sequence[Mapping[Any, Any]],
    ) -> dict[str, Any]:
        moments = occlusion.moments_of(seconds)
        names = list(clip.tokens)
        timed_names = list(clip.times) if self._detail.by_modality else []
        altered = [occlusion.without_modality(clip, name) for name in names]
        altered += [
            occlusion.without_moments(clip, [moment], only)
            for moment in moments
            for only in (None, *([name] for name in timed_names))
        ]
        said, effects = occlusion.effects(self._model, clip, altered)
        of_moments = effects[len(names) :].reshape(len(moments), 1 + len(timed_names))
        return {
            "prediction": said,
            "modalities": [
                {"modality": name, **self._effect(said, effect)}
                for name, effect in zip(names, effects, strict=False)
            ],
            "moments": [
                {
                    "start_seconds": start,
                    "end_seconds": end,
                    **self._effect(said, row[0]),
                    "by_modality": dict(zip(timed_names, row[1:].tolist(), strict=True)),
                    "words": _said_between(timed, start, end),
                }
                for (start, end), row in zip(moments, of_moments, strict=True)
            ],
            "words": [
                {
                    **{name: row[name] for name in ("field", "place", "word")},
                    **self._effect(said, row["effect"]),
                }
                for row in words
            ],
            "alike": list(self._alike(video_id, clip)),
        }

    def _effect(self, said: float, effect: float) -> dict[str, float | None]:
        views = self._target.views(np.array([said, said - effect]))
        times = None if views is None else float((1 + views[0]) / (1 + max(views[1], 0.0)))
        return {"effect": float(effect), "times": times}

    def _alike(self, own_id: str, clip: ClipTokens) -> Iterator[dict[str, Any]]:
        sizes = {name: rows.shape[1] for name, rows in self._novelty.training.items()}
        pooled = {
            name: clip.pooled[name] if name in clip.tokens else np.full(size, np.nan)
            for name, size in sizes.items()
        }
        nearest = self._novelty.nearest(pooled, ALIKE + 1)  # a clip of the corpus finds itself
        others = [each for each in nearest.items() if each[0] != own_id]
        for video_id, distance in others[:ALIKE]:
            yield {
                "video_id": video_id,
                "distance": distance,
                "truth": self._truth.get(video_id),
            }


def _pictures(frames: StageTable, video_id: str, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """Yield the stills of a clip, small; none of one whose pictures nobody could decode."""
    import io

    from PIL import Image

    if video_id not in frames:
        return
    row = frames.row(video_id, ["stills", "still_seconds"])
    for still, seconds in zip(row["stills"], row["still_seconds"], strict=True):
        picture = Image.open(io.BytesIO(bytes(still)))
        picture.thumbnail(size)
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=80)
        yield {"seconds": float(seconds), "jpeg": b64encode(buffer.getvalue()).decode("ascii")}


def _rows_of(table: pd.DataFrame | None, video_id: str) -> list[dict[Any, Any]]:
    return [] if table is None else table[table["video_id"] == video_id].to_dict("records")


def _said_between(
    timed: Sequence[Mapping[Any, Any]], start: float, end: float
) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    for row in timed:
        if row["start_seconds"] < end and row["end_seconds"] >= start:
            said.setdefault(row["field"], []).append(row["line"])
    return said
