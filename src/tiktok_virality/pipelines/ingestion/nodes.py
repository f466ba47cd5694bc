"""Which videos are usable, why the others are not, and how the usable ones are divided."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.datasets.forget_list import ForgetList
from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.config import EvaluationParameters
from tiktok_virality.evaluation.cross_fitting import FOLD, assign_folds
from tiktok_virality.evaluation.duplicates import duplicate_groups
from tiktok_virality.evaluation.splits import assign_splits
from tiktok_virality.execution import Resources, StageItem, StagePlan
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.media.fingerprint import ClipFingerprint
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.limits import (
    ClipLimits,
    DuplicateParameters,
    HorizonParameters,
    SplitParameters,
    WaveformParameters,
)
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.stills import StillSampling
from tiktok_virality.pipelines.ingestion.columns import (
    HORIZON_COLUMNS,
    MACHINE_FAULT,
    MOMENT,
    REJECTION_REASONS,
)
from tiktok_virality.pipelines.ingestion.horizons import horizon_views
from tiktok_virality.pipelines.ingestion.post_ids import is_rounded, whole_ids
from tiktok_virality.pipelines.ingestion.posts import FileFinder, parse_posts
from tiktok_virality.schema import DataError, digest
from tiktok_virality.storage import below

logger = logging.getLogger(__name__)

POST_COLUMNS: Final = (
    *("url", "creator_id", "posted_at", "posted_at_from", "posted_at_fault", "captured_at"),
    *("caption", "hashtags", "topic", "likes", "comments", "shares"),
)
COLUMNS_OF_POSTS: Final = ("video_id", "views", *POST_COLUMNS, "reason", "detail")
PROBE_COLUMNS: Final = (
    "duration_seconds",
    "width",
    "height",
    "fps",
    "video_codec",
    "has_audio",
    "content_hash",
    "stream_hash",
    "size_bytes",
)
LIMITED_COLUMNS: Final = ("duration_seconds", "sound_seconds", "fps")
"""What a probe says that `ClipLimits` speak of."""

EXAMPLES: Final = 3


def match_posts(
    video_metadata: pd.DataFrame, videos: VideoFiles, forget_list: ForgetList
) -> pd.DataFrame:
    """Bring posts and files together.

    Args:
        video_metadata: Raw posts, every value as text or missing; its ``attrs`` tell what of the
            source was not read.
        videos: The files.
        forget_list: Videos and creators that are left out as if they were not there.

    Returns:
        One row per post, and one per file without a post: ``video_id``, ``views`` and what the
        post says; where it cannot be used, ``reason`` and ``detail`` say why.

    Raises:
        DataError: There are no files, no posts, or none of the posts means any of the files.
    """
    _check_anything_to_match(video_metadata, videos)
    finder = FileFinder(videos)
    raw = _with_whole_ids(video_metadata.reset_index(drop=True))
    said = parse_posts(raw, read_at=pd.Timestamp.now("UTC"))
    rows = [
        _match_post(row, finder, videos, fallback_id=f"post {number}")
        for number, row in enumerate(_records(raw[["id", "file"]].join(said)), start=1)
    ]
    meant = {row["video_id"] for row in rows}
    if meant.isdisjoint(videos):
        raise DataError(_nothing_matches(raw, videos))
    orphans = [_without_post(video_id) for video_id in videos if video_id not in meant]
    kept = _left_after_forgetting([*_marking_duplicates(rows), *orphans], forget_list)
    posts = _with_types(pd.DataFrame(kept, columns=list(COLUMNS_OF_POSTS)))
    posts.attrs = dict(video_metadata.attrs)
    return posts


def views_at_horizons(
    posts: pd.DataFrame, count_snapshots: pd.DataFrame | None, horizons: HorizonParameters
) -> pd.DataFrame:
    """Say how many views each video had a fixed time after posting, where snapshots tell.

    A source that holds a video several times, captured at different times, holds snapshots too.

    Args:
        posts: Posts and files brought together.
        count_snapshots: ``video_id``, ``captured_at``, ``views``; ``None`` where there are none.
        horizons: How many days, and how far from it a snapshot may lie.

    Returns:
        ``video_id``, and ``views_at_<n>d`` for each number of days for which some video is known.
    """
    return horizon_views(posts, count_snapshots, horizons)


def probe_videos(posts: pd.DataFrame, videos: VideoFiles) -> StagePlan:
    """Plan the probing of every file that a usable post means."""
    from tiktok_virality.stages.probing import ProbeVideos, video_items

    usable = posts.loc[posts["reason"].isna(), "video_id"]
    return StagePlan(items=video_items(videos, usable), transform=ProbeVideos(), batch_size=16)


def decode_videos(
    video_probes: StageTable,
    videos: VideoFiles,
    limits: ClipLimits,
    sampling: FrameSampling,
    stills: StillSampling,
    motion: MotionSampling,
    duplicates: DuplicateParameters,
) -> StagePlan:
    """Plan the one decoding of every video that is within the limits."""
    from tiktok_virality.stages.frames import ClipDecoder

    return StagePlan(
        items=_items_within(limits, video_probes, videos),
        transform=ClipDecoder(sampling, stills, motion, duplicates.frames),
    )


def extract_waveforms(
    video_probes: StageTable,
    videos: VideoFiles,
    limits: ClipLimits,
    parameters: WaveformParameters,
) -> StagePlan:
    """Plan the one decoding of the sound of every video that is within the limits."""
    from tiktok_virality.stages.waveforms import WaveformExtractor

    return StagePlan(
        items=_items_within(limits, video_probes, videos),
        transform=WaveformExtractor(parameters.silence_dbfs),
        resources=Resources(beside=True),
    )


def fingerprint_videos(
    frames: StageTable, waveforms: StageTable, duplicates: DuplicateParameters
) -> StagePlan:
    """Plan the fingerprints of every video that could be decoded.

    They hang on its hashes and its sound, so frames or stills of another kind leave them as they
    are.
    """
    from tiktok_virality.media.audio import can_fingerprint
    from tiktok_virality.stages.fingerprints import ClipFingerprinter, FingerprintSource

    if not can_fingerprint():
        logger.warning(
            "This ffmpeg was built without Chromaprint: copies are found by their pictures alone, "
            "and the dataset card says so. Unset IMAGEIO_FFMPEG_EXE to use the one that comes with "
            "the package imageio-ffmpeg, and run this again."
        )
    sounds = {item.video_id: item for item in waveforms.items(["samples"])}
    mute = StageItem(video_id="", digest="", payload=None)
    seen = [(item, sounds.get(item.video_id, mute)) for item in frames.items(["picture_hashes"])]
    return StagePlan(
        items=[
            StageItem(
                video_id=picture.video_id,
                digest=digest([picture.digest, sound.digest])[:16],
                payload=FingerprintSource(picture=picture.payload, sound=sound.payload),
            )
            for picture, sound in seen
        ],
        transform=ClipFingerprinter(duplicates.frames),
        absent=frames.missing("frames"),
    )


def build_manifest(
    posts: pd.DataFrame,
    video_probes: StageTable,
    fingerprints: StageTable,
    horizons: pd.DataFrame,
    limits: ClipLimits,
    duplicates: DuplicateParameters,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the usable videos, and say of every other one why it is not.

    Args:
        posts: Posts and files brought together.
        video_probes: What the files hold.
        fingerprints: What the clips look and sound like.
        horizons: Of `views_at_horizons`.
        limits: How long a clip may be.
        duplicates: How much alike copies are.

    Returns:
        The manifest, one row per usable video, and the rejects: ``video_id``, ``stage``,
        ``reason``, ``detail``.

    Raises:
        DataError: No video is usable; the message counts the reasons.
    """
    from tiktok_virality.pipelines.ingestion.manifest import ManifestSchema

    usable, rejects = usable_videos(posts, video_probes, limits)
    copies = _verdicts(_identical(usable)).assign(stage="selection")
    kept = usable[~usable["video_id"].isin(copies["video_id"])]
    rejects = pd.concat([rejects, copies[rejects.columns]], ignore_index=True)
    logger.info("%d videos are usable; %s", len(kept), _summary(rejects))
    _log_unknown_sound(video_probes)
    if kept.empty:
        raise DataError(_nothing_left(rejects))
    taken = [_fingerprint(fingerprints, video_id) for video_id in kept["video_id"]]
    kept = kept.assign(duplicate_group=duplicate_groups(kept, taken, duplicates))
    _log_copies(kept["duplicate_group"])
    fixed = [name for name in ManifestSchema.columns if name != HORIZON_COLUMNS]
    columns = [*fixed, *horizons.columns.drop("video_id")]
    return kept.merge(horizons, on="video_id", how="left")[columns], rejects


def usable_videos(
    posts: pd.DataFrame, video_probes: StageTable, limits: ClipLimits
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the posts whose files can be used, and why the others cannot.

    Args:
        posts: ``video_id``; ``reason`` and ``detail`` where one cannot be used.
        video_probes: What the files hold.
        limits: How long a clip may be.

    Returns:
        The usable posts with the `PROBE_COLUMNS`, and ``video_id``, ``stage``, ``reason``,
        ``detail`` of the others.
    """
    matched = posts[posts["reason"].isna()].drop(columns=["reason", "detail"])
    columns = list(dict.fromkeys((*PROBE_COLUMNS, *LIMITED_COLUMNS)))
    probed = matched.merge(video_probes.to_frame(columns), on="video_id")
    outside = _verdicts(_outside(probed, limits))
    kept = probed[~probed["video_id"].isin(outside["video_id"])]
    rejects = pd.concat(
        [
            _rejects_of_posts(posts).assign(stage="posts"),
            _rejects_of_probes(video_probes).assign(stage="probe"),
            outside.assign(stage="selection"),
        ],
        ignore_index=True,
    )
    return kept, rejects[["video_id", "stage", "reason", "detail"]]


def split_videos(
    manifest: pd.DataFrame, splits: SplitParameters, evaluation: EvaluationParameters, seed: int
) -> pd.DataFrame:
    """Divide the usable videos into folds, each to be tested, or into the four splits.

    Raises:
        ParameterError: Every clip shall be tested, and time divides them.
        DataError: There are too few independent groups of videos, or a chronological strategy
            lacks moments of posting.
    """
    if evaluation.is_cross_fitted(len(manifest), splits.strategy):
        assigned = assign_folds(manifest, splits.strategy, evaluation.folds, seed)
        logger.info(
            "Every clip is tested, in %d folds (%s): %s clips",
            assigned[FOLD].nunique(),
            splits.strategy,
            ", ".join(map(str, assigned[FOLD].value_counts().sort_index())),
        )
    else:
        assigned = assign_splits(manifest, splits, seed)
        logger.info("Splits (%s): %s", splits.strategy, assigned["split"].value_counts().to_dict())
    if splits.strategy == "random":
        logger.warning(
            "ingestion.splits.strategy is random: creators are in training and in test, so the "
            "test split says nothing of creators that the models have not seen."
        )
    if len(assigned) < len(manifest):
        logger.warning(
            "%d of %d videos are in no split: they were posted on the other side of the boundary "
            "from what they belong to (see docs/evaluation.md).",
            len(manifest) - len(assigned),
            len(manifest),
        )
    return assigned


def describe_dataset(
    posts: pd.DataFrame,
    manifest: pd.DataFrame,
    rejected_videos: pd.DataFrame,
    fingerprints: StageTable,
    transcripts: pd.DataFrame | None,
    ground_truth: dict[str, Any] | None,
) -> tuple[dict[str, Any], str]:
    """Say what the corpus holds, and what it cannot say.

    It is one node, so that a corpus too small to be split has its card nevertheless.

    Args:
        posts: Posts and files brought together.
        manifest: The usable videos.
        rejected_videos: The others.
        fingerprints: By which copies were found.
        transcripts: What is spoken; ``None`` before the audio pipeline has run.
        ground_truth: Of a planted corpus; ``None`` for real videos.

    Returns:
        `DatasetSummary` as JSON, and the dataset card: one page of HTML that needs nothing but
        itself.
    """
    from tiktok_virality.pipelines.ingestion.card import summarise
    from tiktok_virality.pipelines.ingestion.card_page import render_card

    told = fingerprints.ids[:1]  # the same of all
    compared = all(fingerprints.row(i, ["sound_compared"])["sound_compared"] for i in told)
    summary = summarise(posts, manifest, rejected_videos, transcripts, ground_truth)
    summary = summary.model_copy(update={"sound_compared": compared})
    return summary.model_dump(mode="json"), render_card(summary)


def _items_within(
    limits: ClipLimits, video_probes: StageTable, videos: VideoFiles
) -> list[StageItem]:
    """Return the videos that are within the limits, each known by its content."""
    from tiktok_virality.stages.probing import video_items

    probed = video_probes.to_frame([*LIMITED_COLUMNS, "content_hash"])
    outside = [row["video_id"] for row in _outside(probed, limits)]
    inside = probed[~probed["video_id"].isin(outside)]
    hashes = dict(zip(inside["video_id"], inside["content_hash"], strict=True))
    return video_items(videos, inside["video_id"], hashes)


def _check_anything_to_match(video_metadata: pd.DataFrame, videos: VideoFiles) -> None:
    if not videos:
        raise DataError(
            f"No videos in {videos.folder.absolute()}: looked there and in its folders for "
            ".mp4, .mov, .m4v, .webm and .mkv files. Put the video files there, each named after "
            "the id of its post, or try `kedro run --env demo`, which makes its own."
        )
    if video_metadata.empty:
        raise DataError(
            f"The post metadata is empty, and {len(videos)} videos are in "
            f'{videos.folder.absolute()}. Give each a post: an id and its views, such as {{"id": '
            f'"{next(iter(videos))}", "views": "21.1M"}}.'
        )


def _with_whole_ids(raw: pd.DataFrame) -> pd.DataFrame:
    """Return raw posts with the ids that their addresses give, where theirs are not whole."""
    found = whole_ids(raw)
    counts = found["id_from"].value_counts()
    if absent := counts.get("address"):
        logger.info("%d posts have no id of their own: it is taken from the address", absent)
    if rounded := counts.get("address, rounded"):
        example = raw.loc[found["id_from"] == "address, rounded", "id"].iloc[0]
        logger.warning(
            "A spreadsheet has rounded the ids of %d posts, such as %s: they are taken from the "
            "addresses, which are whole.",
            rounded,
            example,
        )
    return raw.assign(id=found["id"])


def _records(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows, with ``None`` for what is missing."""
    known = table.astype("object").where(table.notna(), None)
    for record in known.to_dict("records"):
        yield {str(name): value for name, value in record.items()}


def _match_post(
    said: dict[str, Any], finder: FileFinder, videos: VideoFiles, fallback_id: str
) -> dict[str, Any]:
    """Return a post's row: with the file that it means, or with what is wrong with it."""
    found = finder.find(said["id"], said["file"])
    row: dict[str, Any] = {
        **said,
        "video_id": found or said["id"] or said["file"] or fallback_id,
        "reason": None,
        "detail": None,
    }
    if said["fault"] is not None:
        row.update(reason="bad count", detail=said["fault"])
    if found is None:
        row.update(reason="no file", detail=_what_was_sought(said))
    elif videos[found].obstacle is not None:
        row.update(reason="unreadable", detail=videos[found].obstacle)
    return row


def _left_after_forgetting(
    rows: Sequence[dict[str, Any]], forget_list: ForgetList
) -> list[dict[str, Any]]:
    """Leave out what was forgotten, whatever of it came back; no table may name it again."""
    names = ("video_id", "id", "creator_id")
    kept = [row for row in rows if not any(row.get(name) in forget_list for name in names)]
    if len(kept) < len(rows):
        logger.warning(
            "%d posts or files are on the forget list and left out. `tiktok-virality forget` "
            "removes what has come back of them.",
            len(rows) - len(kept),
        )
    return kept


def _what_was_sought(raw: Mapping[str, Any]) -> str:
    if raw["file"]:
        return f"the post names the file {raw['file']!r}, which is not there"
    if raw["id"]:
        cut = " (a spreadsheet has rounded the id)" if is_rounded(raw["id"]) else ""
        return f"no video file is named {raw['id']!r}{cut}"
    return "the post gives neither an id nor a file"


def _marking_duplicates(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Pass on all rows; of several usable ones that mean the same video, the first is kept."""
    kept: dict[str, dict[str, Any]] = {}
    for row in rows:
        first = kept.setdefault(row["video_id"], row) if row["reason"] is None else row
        if first is row:
            yield row
        elif first["views"] == row["views"]:
            detail = "an earlier post of this video says the same views and is kept"
            yield {**row, "reason": "duplicate id", "detail": detail}
        else:
            detail = (
                f"an earlier post of this video says {first['views']} views and is kept; this "
                f"one says {row['views']}"
            )
            yield {**row, "reason": "duplicate id", "detail": detail}


def _without_post(video_id: str) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "reason": "no metadata",
        "detail": "the file is there, and no post means it",
    }


def _with_types(posts: pd.DataFrame) -> pd.DataFrame:
    texts = (
        *("video_id", "url", "creator_id", "caption", "topic"),
        *("posted_at_from", "posted_at_fault", "reason", "detail"),
    )
    counts = ("views", "likes", "comments", "shares")
    types: dict[Hashable, Any] = {**dict.fromkeys(texts, "str"), **dict.fromkeys(counts, "Int64")}
    posts = posts.astype(types)
    posts["hashtags"] = posts["hashtags"].fillna("").astype("str")
    for name in ("posted_at", "captured_at"):
        posts[name] = pd.to_datetime(posts[name], utc=True).astype(MOMENT)
    return posts


def _rejects_of_posts(posts: pd.DataFrame) -> pd.DataFrame:
    return posts.loc[posts["reason"].notna(), ["video_id", "reason", "detail"]]


def _rejects_of_probes(video_probes: StageTable) -> pd.DataFrame:
    """Return the failures; one without a reason of ours is no verdict on the clip."""
    failed = video_probes.failed
    named = failed["reason"].isin(REJECTION_REASONS)
    return failed.assign(
        reason=failed["reason"].where(named, MACHINE_FAULT),
        detail=failed["detail"].where(named, failed["reason"] + ": " + failed["detail"]),
    )


def _verdicts(rows: Iterable[dict[str, str]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["video_id", "reason", "detail"], dtype="str")


def _outside(probed: pd.DataFrame, limits: ClipLimits) -> Iterator[dict[str, str]]:
    """Yield the clips that are outside of the limits, with the limit."""
    for row in probed.to_dict("records"):
        picture, lasts = row["duration_seconds"], max(row["duration_seconds"], row["sound_seconds"])
        if picture < limits.min_seconds:
            reason = "too short"
            detail = f"{picture:.2f} s is less than {_limit(limits, 'min_seconds')}"
        elif lasts > limits.max_seconds:
            reason = "too long"
            heard = "" if lasts == picture else " of sound"
            detail = f"{lasts:.2f} s{heard} is more than {_limit(limits, 'max_seconds')}"
        elif row["fps"] > limits.max_frames_hz:
            reason = "too large"
            rate = f"{row['fps']:.0f} frames a second"
            detail = f"{rate} are more than {_limit(limits, 'max_frames_hz')}"
        else:
            continue
        yield {"video_id": row["video_id"], "reason": reason, "detail": detail}


def _limit(limits: ClipLimits, name: str) -> str:
    return f"ingestion.limits.{name}={getattr(limits, name):g}"


def _identical(probed: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Yield every file but the first of each content."""
    first: dict[str, str] = {}
    for video_id, content_hash in zip(probed["video_id"], probed["content_hash"], strict=True):
        kept = first.setdefault(content_hash, video_id)
        if kept != video_id:
            detail = f"byte for byte the file of {kept!r}, which is kept"
            yield {"video_id": video_id, "reason": "identical content", "detail": detail}


def _fingerprint(fingerprints: StageTable, video_id: str) -> ClipFingerprint:
    """Return the fingerprint of a clip, or one that resembles nothing where none could be taken."""
    if video_id not in fingerprints:
        return ClipFingerprint(picture=np.empty(0, np.uint64), sound=np.empty(0, np.uint32))
    return ClipFingerprint(**fingerprints.row(video_id, ["picture", "sound"]))


def _log_unknown_sound(video_probes: StageTable) -> None:
    known = video_probes.to_frame(["has_audio", "audio_codec"])
    mute = known[~known["has_audio"].astype(bool) & known["audio_codec"].notna()]
    for codec, clips in mute.groupby("audio_codec"):
        logger.warning(
            "%d clips have an audio track that nothing here can decode (%s), %s among them: they "
            "are used without sound. Another format of the download may be readable.",
            len(clips),
            codec,
            clips["video_id"].iloc[0],
        )


def _log_copies(groups: pd.Series) -> None:
    sizes = groups.value_counts()
    copied = sizes[sizes > 1]
    if len(copied):
        logger.info(
            "%d videos are copies of each other, in %d groups; the largest has %d",
            copied.sum(),
            len(copied),
            copied.max(),
        )


def _summary(rejects: pd.DataFrame) -> str:
    counts = rejects["reason"].value_counts()
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    return f"{len(rejects)} rejected{f' ({reasons})' if reasons else ''}"


def _nothing_left(rejects: pd.DataFrame) -> str:
    examples = "\n".join(
        f"  {row.video_id}: {row.reason}: {row.detail}"
        for row in rejects.head(EXAMPLES).itertuples()
    )
    return (
        f"No video is usable: {_summary(rejects)}. The first:\n{examples}\nCorrect the metadata or "
        "the files, or widen ingestion.limits in conf/base/parameters_ingestion.yml."
    )


def _nothing_matches(raw: pd.DataFrame, videos: VideoFiles) -> str:
    given = raw["id"].dropna()
    ids = [repr(text) for text in given.head(EXAMPLES)]
    names = [repr(str(below(video.path, videos.folder))) for video in videos.values()]
    return (
        f"None of the {len(raw)} posts means any of the {len(videos)} videos in "
        f"{videos.folder.absolute()}. Posts have ids such as {', '.join(ids) or '(none)'}; files "
        f"are {', '.join(names[:EXAMPLES])}. {_what_helps(given)}"
    )


def _what_helps(ids: pd.Series) -> str:
    rounded = ids[ids.map(is_rounded).astype(bool)]
    if rounded.empty:
        return "Name each file after the id of its post, or add a `file` to each post."
    return (
        f"A spreadsheet has rounded {len(rounded)} of the {len(ids)} ids, such as "
        f"{rounded.iloc[0]!r}: their last digits are lost. Export the table again with the ids as "
        "text, or add a `url` with the whole id, or a `file`, to each post."
    )
