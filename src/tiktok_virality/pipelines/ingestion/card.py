"""What is in a corpus, in numbers: the facts of the dataset card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import Field

from tiktok_virality.datasets.overlooked_columns import ATTRIBUTE
from tiktok_virality.pipelines.ingestion.columns import HORIZON_COLUMNS
from tiktok_virality.schema import Config

EXAMPLES: Final = 3
ROWS_SHOWN: Final = 15
"""Of topics, codecs and languages; the rest is one row."""

EVERYWHERE: Final = frozenset({"fyp", "foryou", "foryoupage", "fy", "viral", "tiktok", "trending"})
"""Hashtags that say nothing about a clip."""

ONE_DAY: Final = np.timedelta64(1, "D")
BINS_PER_DECADE: Final = 4
MOST_BINS: Final = 40
CURVE_POINTS: Final = 101
KNOWN_FIELDS: Final = ("creator_id", "posted_at", "captured_at", "topic", "caption", "hashtags")
KNOWN_COUNTS: Final = ("likes", "comments", "shares")


class Spread(Config):
    """Some numbers, by their quantiles; ``None`` where there are none.

    Attributes:
        n: How many.
        least: The smallest.
        low: The tenth of a hundred.
        median: The one in the middle.
        high: The ninetieth.
        most: The largest.
    """

    n: int
    least: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    most: float | None = None


class Histogram(Config):
    """Counts of clips between edges, [B] and [B + 1]."""

    edges: list[float]
    counts: list[int]


class Group(Config):
    """Clips that have something in common.

    Attributes:
        name: What.
        clips: How many.
        median_views: Of them.
    """

    name: str
    clips: int
    median_views: float


class Topics(Config):
    """What clips are about.

    Attributes:
        told_by: ``topic`` of the metadata, or ``hashtags``, of which a clip may have several.
        groups: The largest first.
        untold: Clips of which nothing is said.
    """

    told_by: str
    groups: list[Group]
    untold: int


class Concentration(Config):
    """How clips and views are spread over creators.

    Attributes:
        creators: That are known.
        clips: Of known creators.
        median_clips: Of one creator.
        largest_share: Share of the clips that one creator has.
        top_percent: How many creators are one in a hundred, at least one.
        top_percent_clips: Their share of the clips.
        top_percent_views: Their share of the views.
        top_ten_clips: Share of the clips that the ten largest creators have.
        top_ten_views: Share of the views that the ten most watched have.
        gini_clips: 0 where all have the same, near 1 where one has all.
        gini_views: The same, of views.
        effective: Creators of equal size that would be as diverse: exp of the entropy of the
            shares (Hill's number of order 1).
        curve_clips: Lorenz curve: share of the clips of the smallest 0, 1, ... 100 % of creators.
        curve_views: The same, of views.
    """

    creators: int
    clips: int
    median_clips: float
    largest_share: float
    top_percent: int
    top_percent_clips: float
    top_percent_views: float
    top_ten_clips: float
    top_ten_views: float
    gini_clips: float
    gini_views: float
    effective: float
    curve_clips: list[float]
    curve_views: list[float]


class Dates(Config):
    """When something happened.

    Attributes:
        known: Clips of which it is known.
        first: The first day, ISO.
        last: The last day.
        months: Clips by month, ``2024-05``; those without any in between among them.
    """

    known: int
    first: str | None = None
    last: str | None = None
    months: dict[str, int] = Field(default_factory=dict)


class Reject(Config):
    """Videos that were rejected for one reason.

    Attributes:
        reason: Which.
        stage: Where it was seen.
        count: How many.
        examples: Id and detail of a few.
    """

    reason: str
    stage: str
    count: int
    examples: list[tuple[str, str]]


class DatasetSummary(Config):
    """All that the dataset card says.

    Attributes:
        clips: Usable ones; everything below is of them, unless it says otherwise.
        seconds: How long they are together.
        megabytes: How large.
        views: Of a clip.
        views_histogram: Over log10 of the views; those without any count as one.
        most_watched_percent: Share of all views that the most watched clip in a hundred has.
        durations: In seconds.
        durations_histogram: Over seconds.
        topics: What they are about; ``None`` where nothing is said.
        creators: ``None`` where none is known.
        codecs: Of the picture.
        shapes: Portrait, landscape, square.
        sizes: Width x height.
        languages: That are spoken; ``None`` before the audio pipeline has run.
        transcribed: Clips whose sound was listened to.
        without_audio: Clips without an audio track that can be decoded.
        sound_compared: Whether copies were sought by their sound, too.
        posted: When.
        posted_from_id: Of how many the id tells when they were posted.
        posting_faults: Why a given time of posting was not taken, with counts, over all posts.
        captured: When.
        age_days: Between posting and capture.
        age_histogram: Over log10 of it; clips younger than a tenth of a day count as that.
        duplicate_groups: Groups of clips that are copies of each other.
        duplicate_clips: Clips in them.
        rejects: By reason, most first.
        posts: Posts and files that were looked at.
        known: Share of the clips of which each field is known.
        horizons: Clips with views a fixed number of days after posting, by that number.
        synthetic: Name of the rule of a planted corpus; ``None`` for real videos.
        overlooked: Columns of the source that were not read, by the column they look like.
    """

    clips: int
    seconds: float
    megabytes: float
    views: Spread
    views_histogram: Histogram
    most_watched_percent: float
    durations: Spread
    durations_histogram: Histogram
    topics: Topics | None
    creators: Concentration | None
    codecs: list[Group]
    shapes: list[Group]
    sizes: list[Group]
    languages: list[Group] | None
    transcribed: int
    without_audio: int
    sound_compared: bool = True
    posted: Dates
    posted_from_id: int
    posting_faults: dict[str, int]
    captured: Dates
    age_days: Spread
    age_histogram: Histogram | None
    duplicate_groups: int
    duplicate_clips: int
    rejects: list[Reject]
    posts: int
    known: dict[str, float]
    horizons: dict[int, int]
    synthetic: str | None
    overlooked: dict[str, list[str]] = Field(default_factory=dict)


def summarise(
    posts: pd.DataFrame,
    manifest: pd.DataFrame,
    rejected_videos: pd.DataFrame,
    transcripts: pd.DataFrame | None,
    ground_truth: Mapping[str, Any] | None,
) -> DatasetSummary:
    """Count what a corpus holds.

    Args:
        posts: Posts and files brought together.
        manifest: The usable videos.
        rejected_videos: The others.
        transcripts: ``video_id``, ``text``, ``language``; ``None`` before the audio pipeline.
        ground_truth: Of a planted corpus; ``None`` for real videos.
    """
    views = manifest["views"].to_numpy(dtype=np.float64)
    ages = _ages_in_days(manifest)
    copies = manifest["duplicate_group"].value_counts()
    copies = copies[copies > 1]
    tall = (manifest["height"] - manifest["width"]).clip(-1, 1)
    sizes = manifest["width"].astype("str") + " x " + manifest["height"].astype("str")
    heard = _heard(manifest, transcripts)
    return DatasetSummary(
        clips=len(manifest),
        seconds=float(manifest["duration_seconds"].sum()),
        megabytes=float(manifest["size_bytes"].sum() / 1e6),
        views=spread(views),
        views_histogram=histogram_of_logs(np.maximum(views, 1)),
        most_watched_percent=_share_of_top(views, _one_percent(len(views))),
        durations=spread(manifest["duration_seconds"]),
        durations_histogram=_histogram(manifest["duration_seconds"].to_numpy()),
        topics=_topics(manifest),
        creators=concentration(manifest),
        codecs=_groups(manifest["video_codec"], views),
        shapes=_groups(tall.map({1: "portrait", 0: "square", -1: "landscape"}), views),
        sizes=_groups(sizes, views),
        languages=None if heard is None else _groups(heard, views),
        transcribed=0 if heard is None else int(heard.notna().sum()),
        without_audio=int((~manifest["has_audio"]).sum()),
        posted=_dates(manifest["posted_at"]),
        posted_from_id=_told_by_id(posts, manifest),
        posting_faults=_posting_faults(posts),
        captured=_dates(manifest["captured_at"]),
        age_days=spread(ages),
        age_histogram=histogram_of_logs(np.maximum(ages, 0.1)) if len(ages) else None,
        duplicate_groups=len(copies),
        duplicate_clips=int(copies.sum()),
        rejects=_rejects(rejected_videos),
        posts=len(posts),
        known=_known(manifest),
        horizons=_horizons(manifest),
        synthetic=None if ground_truth is None else str(ground_truth["world"]),
        overlooked=posts.attrs.get(ATTRIBUTE, {}),
    )


def spread(values: Iterable[float]) -> Spread:
    """Return the quantiles of some numbers."""
    numbers = np.asarray(list(values), dtype=np.float64)
    if not len(numbers):
        return Spread(n=0)
    least, low, median, high, most = (float(q) for q in np.quantile(numbers, [0, 0.1, 0.5, 0.9, 1]))
    return Spread(n=len(numbers), least=least, low=low, median=median, high=high, most=most)


def histogram_of_logs(values: np.ndarray) -> Histogram:
    """Count numbers above 0 in quarters of a decade: the edges are log10 of them."""
    logs = np.log10(values)
    first = math.floor(float(logs.min()) * BINS_PER_DECADE)
    last = math.floor(float(logs.max()) * BINS_PER_DECADE) + 1
    edges = np.arange(first, last + 1) / BINS_PER_DECADE
    counts, _ = np.histogram(logs, edges)
    return Histogram(edges=edges.tolist(), counts=counts.tolist())


def concentration(manifest: pd.DataFrame) -> Concentration | None:
    """Return how clips and views are spread over creators; ``None`` where none is known."""
    known = manifest.dropna(subset=["creator_id"])
    if known.empty:
        return None
    by_creator = known.groupby("creator_id")["views"].agg(["size", "sum"])
    clips = by_creator["size"].to_numpy(dtype=np.float64)
    views = by_creator["sum"].to_numpy(dtype=np.float64)
    top = _one_percent(len(clips))
    shares = clips / clips.sum()
    return Concentration(
        creators=len(clips),
        clips=len(known),
        median_clips=float(np.median(clips)),
        largest_share=float(shares.max()),
        top_percent=top,
        top_percent_clips=_share_of_top(clips, top),
        top_percent_views=_share_of_top(views, top),
        top_ten_clips=_share_of_top(clips, 10),
        top_ten_views=_share_of_top(views, 10),
        gini_clips=gini(clips),
        gini_views=gini(views),
        effective=float(np.exp(-(shares * np.log(shares)).sum())),
        curve_clips=_lorenz(clips),
        curve_views=_lorenz(views),
    )


def gini(amounts: np.ndarray) -> float:
    """Return the Gini coefficient of amounts that are not negative: 0 where all are equal."""
    total, n = amounts.sum(), len(amounts)
    if total == 0:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(2 * (ranks * np.sort(amounts)).sum() / (n * total) - (n + 1) / n)


def _lorenz(amounts: np.ndarray) -> list[float]:
    total = amounts.sum() or 1.0
    cumulated = np.concatenate([[0.0], np.cumsum(np.sort(amounts)) / total])
    places = np.linspace(0, 1, CURVE_POINTS)
    shares = np.interp(places, np.linspace(0, 1, len(cumulated)), cumulated)
    return [float(share) for share in shares.round(5)]


def _one_percent(count: int) -> int:
    return max(1, round(count / 100))


def _share_of_top(amounts: np.ndarray, top: int) -> float:
    total = amounts.sum()
    return float(np.sort(amounts)[-top:].sum() / total) if total else 0.0


def _histogram(values: np.ndarray) -> Histogram:
    edges = np.histogram_bin_edges(values, "auto")
    if len(edges) > MOST_BINS + 1:
        edges = np.histogram_bin_edges(values, MOST_BINS)
    counts, _ = np.histogram(values, edges)
    return Histogram(edges=edges.tolist(), counts=counts.tolist())


def _groups(names: pd.Series, views: np.ndarray) -> list[Group]:
    """Return clips by name, the most first; small groups beyond `ROWS_SHOWN` are one."""
    order = names.value_counts().index.tolist()
    shown = names.where(names.isin(order[:ROWS_SHOWN]) | names.isna(), "others")
    table = pd.DataFrame({"name": shown.to_numpy(), "views": views}).dropna(subset=["name"])
    found = table.groupby("name")["views"].agg(["size", "median"])
    groups = [
        Group(name=str(name), clips=int(row["size"]), median_views=float(row["median"]))
        for name, row in found.iterrows()
    ]
    return sorted(groups, key=lambda group: (group.name == "others", -group.clips, group.name))


def _topics(manifest: pd.DataFrame) -> Topics | None:
    views = manifest["views"].to_numpy(dtype=np.float64)
    if manifest["topic"].notna().any():
        untold = int(manifest["topic"].isna().sum())
        return Topics(told_by="topic", groups=_groups(manifest["topic"], views), untold=untold)
    told = manifest[["hashtags", "views"]].assign(name=manifest["hashtags"].str.split())
    told = told.explode("name")
    told = told[told["name"].notna() & ~told["name"].isin(EVERYWHERE)]
    if told.empty:
        return None
    common = told["name"].value_counts().index[:ROWS_SHOWN]
    shown = told[told["name"].isin(common)]
    groups = _groups(shown["name"], shown["views"].to_numpy(dtype=np.float64))
    return Topics(told_by="hashtags", groups=groups, untold=len(manifest) - told.index.nunique())


def _heard(manifest: pd.DataFrame, transcripts: pd.DataFrame | None) -> pd.Series | None:
    """Return what is spoken in each clip; missing where its sound was not listened to."""
    if transcripts is None:
        return None
    said = transcripts.set_index("video_id")
    language = said["language"].where(said["text"].fillna("").str.strip() != "", "no speech")
    return manifest["video_id"].map(language)


def _dates(moments: pd.Series) -> Dates:
    known = moments.dropna()
    if known.empty:
        return Dates(known=0)
    months = known.dt.strftime("%Y-%m").value_counts()
    every = pd.period_range(months.index.min(), months.index.max(), freq="M").astype("str")
    return Dates(
        known=len(known),
        first=known.min().strftime("%Y-%m-%d"),
        last=known.max().strftime("%Y-%m-%d"),
        months={month: int(months.get(month, 0)) for month in every},
    )


def _ages_in_days(manifest: pd.DataFrame) -> np.ndarray:
    age = (manifest["captured_at"] - manifest["posted_at"]).dropna()
    return np.maximum(age.to_numpy() / ONE_DAY, 0.0)


def _told_by_id(posts: pd.DataFrame, manifest: pd.DataFrame) -> int:
    by_id = posts.loc[posts["posted_at_from"] == "id", "video_id"]
    return int(manifest["video_id"].isin(by_id).sum())


def _posting_faults(posts: pd.DataFrame) -> dict[str, int]:
    """Return how many times of posting were not taken, by the reason without the time itself."""
    said = posts["posted_at_fault"].dropna()
    reasons = Counter(text.rpartition(" is ")[2] for text in said)
    return dict(reasons.most_common())


def _rejects(rejected_videos: pd.DataFrame) -> list[Reject]:
    found = [
        Reject(
            reason=str(reason),
            stage=str(stage),
            count=len(rows),
            examples=_examples(rows),
        )
        for (reason, stage), rows in rejected_videos.groupby(["reason", "stage"])
    ]
    return sorted(found, key=lambda each: (-each.count, each.reason))


def _examples(rows: pd.DataFrame) -> list[tuple[str, str]]:
    pairs: Sequence[tuple[str, str]] = list(
        zip(rows["video_id"], rows["detail"].fillna(""), strict=True)
    )
    return list(pairs[:EXAMPLES])


def _known(manifest: pd.DataFrame) -> dict[str, float]:
    fields = [*KNOWN_FIELDS, *KNOWN_COUNTS]
    there = manifest[fields].notna()
    there["hashtags"] = manifest["hashtags"] != ""
    return {name: float(there[name].mean()) for name in fields}


def _horizons(manifest: pd.DataFrame) -> dict[int, int]:
    columns = manifest.filter(regex=HORIZON_COLUMNS)
    return {
        int("".join(letter for letter in str(name) if letter.isdigit())): int(column.notna().sum())
        for name, column in columns.items()
    }
