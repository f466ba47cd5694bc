"""What the models are trained and tested on: every clip's tokens, its creator and its truth.

Loads no torch: the nodes name these types.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from tiktok_virality.evaluation.cross_fitting import divisions_of, fold_name, is_cross_fitted
from tiktok_virality.evaluation.leakage import check_features, check_no_leak
from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.models.baselines import PooledClips
from tiktok_virality.models.pooling import pool, stack_pooled
from tiktok_virality.schema import SPLITS, DataError, Split, digest

METADATA_FEATURES: Final = (
    "duration_seconds",
    "width",
    "height",
    "fps",
    "has_audio",
    "caption",
    "hashtags",
    "posted_at",
)
"""Columns of the manifest that models may read; the leak check looks at them."""

TRUTH: Final = "y_true"
HOURS_PER_DAY: Final = 24
DAYS_PER_WEEK: Final = 7
BYTES_PER_GB: Final = 10**9

logger = logging.getLogger(__name__)


WORDS: Final = "words"
"""The column in which a table of tokens keeps what a clip says in words, if it does."""

TIMES: Final = "timestamps_seconds"
TOKEN_SECONDS: Final = "token_seconds"
"""The columns in which it says when each token begins, or how long each lasts, if it does."""

PARTS: Final = "parts"
"""The column in which it says which numbers of a token, in a row, belong together, if it does."""


class Rows(Protocol):
    """What training reads of a stage table."""

    def row(self, video_id: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """Read one row."""
        ...

    def __contains__(self, video_id: object) -> bool: ...


class StoredTokens(Rows, Protocol):
    """A stage table of tokens, which says what decided them."""

    @property
    def fingerprint(self) -> str:
        """Digest of what decided the rows."""
        ...

    @property
    def digests(self) -> Mapping[str, str]:
        """Digest of the content behind each row, by id."""
        ...

    @property
    def columns(self) -> Sequence[str]:
        """Names of what each row holds."""
        ...

    def shape_of(self, video_id: str, column: str) -> tuple[int, ...]:
        """Return the shape of an array, of which nothing else is read."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipTokens:
    """What the models know of a clip.

    Attributes:
        tokens: By modality, float32 [T, D] each, in memory or on disk; a modality that the clip
            lacks is not there.
        words: All that is said and written in it.
        times: By modality, when each token begins, in seconds, [T]; of those whose tokens have a
            time, and only where somebody asked.
    """

    tokens: Mapping[str, np.ndarray]
    words: str = ""
    times: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many tokens there are of each modality; of those on disk nothing else is read."""
        if isinstance(self.tokens, TokensOnDisk):
            return self.tokens.counts
        return {name: len(tokens) for name, tokens in self.tokens.items()}

    @cached_property
    def pooled(self) -> dict[str, np.ndarray]:
        """The tokens of each modality as one row; see `pool`."""
        return {name: pool(tokens) for name, tokens in self.tokens.items()}


class TokensOnDisk(Mapping[str, np.ndarray]):
    """The tokens of a clip by modality, read from the tables whenever somebody asks for them."""

    def __init__(self, video_id: str, tables: Mapping[str, StoredTokens]) -> None:
        self._video_id = video_id
        self._tables = {name: table for name, table in tables.items() if video_id in table}

    def __getitem__(self, modality: str) -> np.ndarray:
        return _in_memory(self._tables[modality].row(self._video_id, ["tokens"]))

    @property
    def counts(self) -> Mapping[str, int]:
        """How many tokens there are of each modality."""
        return {
            name: table.shape_of(self._video_id, "tokens")[0]
            for name, table in self._tables.items()
        }

    def __contains__(self, modality: object) -> bool:
        return modality in self._tables

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


def read_tokens(
    ids: Sequence[str],
    tables: Mapping[str, StoredTokens],
    *,
    timed: bool = False,
    memory_gb: float = math.inf,
) -> list[ClipTokens]:
    """Read the tokens of clips into memory, if they fit; a clip without a row lacks the modality.

    Args:
        ids: The clips.
        tables: Of tokens, by modality.
        timed: Read when each token begins, too.
        memory_gb: Most memory for them. Those of clips that need more stay on disk, and are read
            as batches are made.
    """
    fit = math.isinf(memory_gb) or _fit_into(memory_gb, ids, tables)
    asked = [*(["tokens"] if fit else []), WORDS, *([TIMES, TOKEN_SECONDS] if timed else [])]
    wanted = {
        name: [column for column in asked if column in table.columns]
        for name, table in tables.items()
    }
    return [_clip_tokens(video_id, tables, wanted, keep=fit) for video_id in ids]


def _fit_into(memory_gb: float, ids: Sequence[str], tables: Mapping[str, StoredTokens]) -> bool:
    """Tell whether tokens fit, by their shapes: nothing of them is read."""
    numbers = sum(
        math.prod(table.shape_of(video_id, "tokens"))
        for table in tables.values()
        for video_id in ids
        if video_id in table
    )
    needed_gb = numbers * np.dtype(np.float32).itemsize / BYTES_PER_GB
    if needed_gb > memory_gb:
        logger.info(
            "The tokens of %d clips take %.3g GB, and modeling.memory_gb is %g: they stay on disk, "
            "and are read as batches are made.",
            len(ids),
            needed_gb,
            memory_gb,
        )
    return needed_gb <= memory_gb


def _clip_tokens(
    video_id: str,
    tables: Mapping[str, StoredTokens],
    wanted: Mapping[str, list[str]],
    *,
    keep: bool,
) -> ClipTokens:
    rows = {
        name: table.row(video_id, wanted[name]) if wanted[name] else {}
        for name, table in tables.items()
        if video_id in table
    }
    return ClipTokens(
        tokens={name: _in_memory(row) for name, row in rows.items()}
        if keep
        else TokensOnDisk(video_id, tables),
        words=" ".join(str(row[WORDS]) for row in rows.values() if WORDS in row),
        times={
            name: _times(row, tables[name].shape_of(video_id, "tokens")[0])
            for name, row in rows.items()
            if TIMES in row or TOKEN_SECONDS in row
        },
    )


def _in_memory(row: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(row["tokens"], dtype=np.float32)


def _times(row: Mapping[str, Any], count: int) -> np.ndarray:
    if TIMES in row:
        return np.asarray(row[TIMES], dtype=np.float64)
    return np.arange(count) * float(row[TOKEN_SECONDS])


@dataclass(frozen=True, kw_only=True)
class LabelledClips:
    """Clips of one split, in one order.

    Attributes:
        ids: Video ids.
        groups: Creators; a clip whose creator is unknown is a group of its own.
        log_duration: Logarithm of the seconds, [N].
        tokens: What the models know of each.
        log_views: What is true of each, on the scale of the target: log1p(views), unless another
            was chosen, [N].
        metadata: What `metadata_features` says of each, [N, M]; ``None`` where nobody asks.
    """

    ids: Sequence[str]
    groups: np.ndarray
    log_duration: np.ndarray
    tokens: Sequence[ClipTokens]
    log_views: np.ndarray
    metadata: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)


def together(first: LabelledClips, second: LabelledClips) -> LabelledClips:
    """Return the clips of two splits, one after the other; metadata where both have them."""
    known = first.metadata is not None and second.metadata is not None
    return LabelledClips(
        ids=[*first.ids, *second.ids],
        groups=np.concatenate([first.groups, second.groups]),
        log_duration=np.concatenate([first.log_duration, second.log_duration]),
        tokens=[*first.tokens, *second.tokens],
        log_views=np.concatenate([first.log_views, second.log_views]),
        metadata=np.concatenate([first.metadata, second.metadata]) if known else None,
    )


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """The whole corpus by split.

    Attributes:
        splits: Clips by split; those that nobody holds out are not there.
        token_sizes: Size of a token by modality, of those that take part; 1 where no clip has any.
        fingerprint: Digest of the clips, their splits, their truth and their embeddings.
        token_parts: How many numbers of a token, in a row, belong together, by modality; one that
            is not named is whole.
        target: What the models predict.
        scaled_by: The split whose truth standardises the target.
        label: Name of this corpus where there are several: a fold, or a world of the truth
            benchmark.
    """

    splits: Mapping[Split, LabelledClips]
    token_sizes: dict[str, int]
    fingerprint: str
    token_parts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    target: Target = field(default_factory=Target)
    scaled_by: Split = "train"
    label: str = ""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those that take part."""
        return tuple(self.token_sizes)

    @property
    def token_counts(self) -> dict[str, int]:
        """Tokens of a clip by modality, for those of which every clip has equally many."""
        clips = [clip for split in self.splits.values() for clip in split.tokens]
        return {
            name: next((len(clip.tokens[name]) for clip in clips if name in clip.tokens), 1)
            for name in self.token_sizes
        }

    @property
    def open_clips(self) -> LabelledClips:
        """Training and validation clips: what may teach once everything is chosen."""
        return together(self.splits["train"], self.splits["validation"])

    @property
    def usual_clips(self) -> LabelledClips:
        """Clips that taught no weight, which say what is usual: to calibrate by, if there are."""
        return self.splits.get("calibration", self.splits["validation"])

    def name_of(self, model: str) -> str:
        """Return what the training of a model on this corpus is called: ``additive/ensemble``."""
        return f"{self.label}/{model}" if self.label else model

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {len(clips)}" for split, clips in self.splits.items())
        return f"ModelInput({counts}; tokens {self.token_sizes})"


def assemble(
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    tables: Mapping[str, StoredTokens],
    target: TargetParameters,
) -> ModelInput:
    """Read every clip's tokens and what is true of it, by split.

    Args:
        manifest: The clips; those of which the target is not known are left out.
        splits: ``video_id`` and ``split``; ``fold`` where every clip is tested.
        tables: Tokens of clips by modality.
        target: What the models predict.

    Raises:
        DataError: A split is empty, or shares a creator or a duplicate with another.
    """
    main, _ = assemble_all(manifest, splits, tables, target)
    return main


def assemble_all(
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    tables: Mapping[str, StoredTokens],
    target: TargetParameters,
    memory_gb: float = math.inf,
) -> tuple[ModelInput, list[ModelInput]]:
    """Read the same once, also for every division that tests clips.

    Args:
        manifest: As `assemble`.
        splits: As `assemble`.
        tables: As `assemble`.
        target: As `assemble`.
        memory_gb: Most memory for tokens; see `read_tokens`.

    Returns:
        What the models learn from that are served, and the divisions: one a fold, or the former
        where one split is held out.

    Raises:
        DataError: As `assemble`.
    """
    check_features(METADATA_FEATURES)
    check_no_leak(manifest, splits)
    ids = sorted(manifest["video_id"])
    corpus = _Corpus(
        manifest=manifest,
        tables=tables,
        tokens=dict(zip(ids, read_tokens(ids, tables, memory_gb=memory_gb), strict=True)),
        target=Target(parameters=target),
    )
    if not is_cross_fitted(splits):
        main = corpus.divided(splits, SPLITS)
        return main, [main]
    main = corpus.divided(splits, ("train", "validation"))
    folds = [corpus.divided(each, (*main.splits, "test")) for each in divisions_of(splits)]
    return main, [
        replace(fold, label=fold_name(number)) for number, fold in enumerate(folds, start=1)
    ]


@dataclass(frozen=True, kw_only=True)
class _Corpus:
    """All clips, before they are divided."""

    manifest: pd.DataFrame
    tables: Mapping[str, StoredTokens]
    tokens: Mapping[str, ClipTokens]
    target: Target

    def divided(self, splits: pd.DataFrame, needed: Sequence[Split]) -> ModelInput:
        """Return the clips by split, of which those that are needed must not be empty."""
        rows = _with_truth(
            self.manifest.merge(splits, on="video_id", validate="one_to_one").sort_values(
                "video_id"
            ),
            self.target,
        )
        by_split = {split: _labelled(rows[rows["split"] == split], self.tokens) for split in needed}
        empty = [split for split, clips in by_split.items() if not len(clips)]
        if empty:
            raise DataError(
                f"The {empty[0]} split is empty; see ingestion.splits, and modeling.target, which "
                f"needs {self.target.needs}."
            )
        every_clip = [clip for clips in by_split.values() for clip in clips.tokens]
        labels = [rows[name].tolist() for name in ("video_id", "split", TRUTH)]
        content = {
            name: [table.fingerprint, dict(table.digests)] for name, table in self.tables.items()
        }
        return ModelInput(
            splits=by_split,
            token_sizes={name: _token_size(name, every_clip) for name in self.tables},
            fingerprint=digest([labels, content]),
            token_parts=dict(_token_parts(self.tables, rows["video_id"].tolist())),
            target=self.target,
        )


def metadata_features(manifest: pd.DataFrame) -> np.ndarray:
    """Return what is known of clips before posting, besides picture, sound and creator, [N, 11].

    Log seconds, width, height, frames per second, whether there is sound, characters of the
    caption, number of hashtags, and hour and weekday of posting (UTC) as points of a circle.
    NaN where something is not known.
    """
    known = manifest.reindex(columns=list(METADATA_FEATURES))
    posted = pd.to_datetime(known["posted_at"], utc=True).dt
    hour = (posted.hour + posted.minute / 60) / HOURS_PER_DAY
    columns: list[pd.Series] = [
        known["duration_seconds"].astype(float).map(np.log),
        *(known[name].astype(float) for name in ("width", "height", "fps", "has_audio")),
        known["caption"].astype("string").str.len(),
        known["hashtags"].astype("string").str.count(r"\S+"),
        *_on_a_circle(hour),
        *_on_a_circle(posted.dayofweek / DAYS_PER_WEEK),
    ]
    numbers = [column.to_numpy(dtype=np.float64, na_value=np.nan) for column in columns]
    return np.stack(numbers, axis=1)


def _on_a_circle(turns: pd.Series) -> tuple[pd.Series, pd.Series]:
    return np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)


def _with_truth(rows: pd.DataFrame, target: Target) -> pd.DataFrame:
    """Return the clips of which the target is known, with the column `TRUTH`."""
    truth = target.truth(rows, rows["split"] == "train")
    known = ~np.isnan(truth)
    if not known.any():
        raise DataError(
            f"None of the {len(rows)} clips can be used to predict {target.name}: each lacks "
            f"{target.needs}. Add it to the metadata, or choose another modeling.target.kind."
        )
    if not known.all():
        logger.warning(
            "%d of %d clips are left out of modelling: to predict %s, a clip needs %s.",
            int((~known).sum()),
            len(rows),
            target.name,
            target.needs,
        )
    return rows.assign(**{TRUTH: truth})[known]


def pooled(clips: LabelledClips, token_sizes: Mapping[str, int]) -> PooledClips:
    """Return what the baselines read of clips."""
    return PooledClips(
        duration=clips.log_duration[:, None],
        modalities={
            name: stack_pooled([clip.pooled.get(name) for clip in clips.tokens], size)
            for name, size in token_sizes.items()
        },
        metadata=clips.metadata,
        creator=clips.groups.astype(str),
        words=np.asarray([clip.words for clip in clips.tokens], dtype=object),
    )


def _labelled(rows: pd.DataFrame, tokens: Mapping[str, ClipTokens]) -> LabelledClips:
    ids = rows["video_id"].tolist()
    return LabelledClips(
        ids=ids,
        groups=rows["creator_id"].fillna(rows["video_id"]).to_numpy(dtype=object),
        log_duration=np.log(rows["duration_seconds"].to_numpy(dtype=np.float64)),
        tokens=[tokens[video_id] for video_id in ids],
        log_views=rows[TRUTH].to_numpy(dtype=np.float64),
        metadata=metadata_features(rows),
    )


def _token_parts(
    tables: Mapping[str, StoredTokens], ids: Sequence[str]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, table in tables.items():
        first = next((video_id for video_id in ids if video_id in table), None)
        if first is not None and PARTS in table.columns:
            yield name, tuple(int(size) for size in table.row(first, [PARTS])[PARTS])


def _token_size(modality: str, clips: Sequence[ClipTokens]) -> int:
    return next((clip.tokens[modality].shape[1] for clip in clips if modality in clip.tokens), 1)
