"""What is to be collected, from where, and how gently: the parameters of collection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from tiktok_virality.schema import Config

UNFINISHED_FOLDER: Final = ".unfinished"
"""In the folder of the videos: where files are until they are whole."""

CONCEALED: Final = "***"
Hashtag = Annotated[str, Field(pattern=r"^\w+$")]


class Politeness(Config):
    """How gently the site is asked.

    Attributes:
        seconds_between_requests: Least time between the starts of two requests.
        bytes_per_second: Fastest download; ``None`` is as fast as the line.
        max_retries: How often a request is repeated after a fault that may pass.
        first_retry_seconds: Wait before the first repetition; it doubles with each.
        longest_wait_seconds: A site that asks to wait longer ends the run.
    """

    seconds_between_requests: float = Field(default=5.0, ge=0)
    bytes_per_second: int | None = Field(default=2_000_000, ge=1)
    max_retries: int = Field(default=3, ge=0)
    first_retry_seconds: float = Field(default=10.0, ge=0)
    longest_wait_seconds: float = Field(default=900.0, ge=0)


class DownloadLimits(Config):
    """Which videos are taken, in which form.

    Attributes:
        format: yt-dlp's format selector; it should name single files, which need no merging.
        max_megabytes: Larger files are not taken.
        max_seconds: Longer videos are not taken.
        max_download_seconds: A download that takes longer is given up.
        stall_seconds: So is one that stands still for so long.
    """

    format: str = "b[ext=mp4]"
    max_megabytes: float = Field(default=100.0, gt=0)
    max_seconds: float = Field(default=180.0, gt=0)
    max_download_seconds: float = Field(default=300.0, gt=0)
    stall_seconds: float = Field(default=30.0, gt=0)


class BrowserLimits(Config):
    """How long the browser waits.

    Attributes:
        page_seconds: For a page and its first videos.
        growth_seconds: For more videos after scrolling; then the hashtag counts as exhausted.
    """

    page_seconds: float = Field(default=60.0, gt=0)
    growth_seconds: float = Field(default=15.0, gt=0)


class CollectionParameters(Config):
    """The parameters of the collection pipeline.

    Attributes:
        base_url: Address of the site, without a path.
        topics: Hashtags by topic, without ``#``. An environment's topics come on top of those of
            ``conf/base``.
        only_topics: The topics to collect; ``None`` is all.
        videos_per_topic: How many videos each topic shall have.
        topic_counts: Topics that shall have another number.
        links_per_video: How many links are looked for per wanted video; the videos are drawn from
            them at random, and what cannot be had is made up for.
        dry_run: Whether to list what would be downloaded, and download nothing.
        snapshot_after_days: Count the views of a video again when its last count is older;
            ``None`` never does.
        keep_creator_names: Whether to store names of creators as they are, not as keyed hashes.
        stop_after_failures: So many videos in a row that fail for no fault of theirs end the run.
        politeness: How gently the site is asked.
        limits: Which videos are taken.
        browser: How long the browser waits.
    """

    base_url: str = "https://www.tiktok.com"
    topics: dict[str, tuple[Hashtag, ...]] = Field(default={}, validate_default=True)
    only_topics: tuple[str, ...] | None = None
    videos_per_topic: int = Field(default=20, ge=1)
    topic_counts: dict[str, Annotated[int, Field(ge=0)]] = Field(default={})
    links_per_video: float = Field(default=1.5, ge=1)
    dry_run: bool = False
    snapshot_after_days: float | None = Field(default=7.0, ge=0)
    keep_creator_names: bool = False
    stop_after_failures: int = Field(default=5, ge=1)
    politeness: Politeness = Politeness()
    limits: DownloadLimits = DownloadLimits()
    browser: BrowserLimits = BrowserLimits()

    @field_validator("base_url")
    @classmethod
    def _check_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ValueError("give scheme and host alone, such as https://www.tiktok.com")
        return value.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _choose_topics(cls, values: dict[str, Any]) -> dict[str, Any]:
        only, topics = values.get("only_topics"), values.get("topics") or {}
        if only is None:
            return values
        unknown = [topic for topic in only if topic not in topics]
        if unknown:
            raise ValueError(f"only_topics names {', '.join(unknown)}, not in topics")
        counts = values.get("topic_counts") or {}
        return {
            **values,
            "topics": {topic: topics[topic] for topic in only},
            "topic_counts": {topic: count for topic, count in counts.items() if topic in only},
        }

    @model_validator(mode="after")
    def _check_topics(self) -> Self:
        for topic, hashtags in self.topics.items():
            if not hashtags:
                raise ValueError(f"the topic {topic!r} has no hashtags")
        unknown = self.topic_counts.keys() - self.topics.keys()
        if unknown:
            raise ValueError(f"topic_counts names {', '.join(sorted(unknown))}, not in topics")
        return self

    def wanted(self, topic: str) -> int:
        """How many videos a topic shall have."""
        return self.topic_counts.get(topic, self.videos_per_topic)

    def video_url(self, video_id: str) -> str:
        """Address of a video's page; the site finds it without the name of the creator."""
        return f"{self.base_url}/@_/video/{video_id}"

    def hashtag_url(self, hashtag: str) -> str:
        """Address of a hashtag's page."""
        return f"{self.base_url}/tag/{hashtag}"


class SiteAccess(Config):
    """What the user's credentials give.

    Attributes:
        creator_key: Key of the hashes that stand for creators' names.
        proxy: Such as ``"http://host:3128"``; it may hold a password.
        cookies_file: In Netscape's format, as browsers export it.
    """

    creator_key: SecretStr
    proxy: SecretStr | None = None
    cookies_file: Path | None = None

    @property
    def proxy_address(self) -> str | None:
        """The proxy as programs want it."""
        return None if self.proxy is None else self.proxy.get_secret_value()

    def conceal(self, text: str) -> str:
        """Return what somebody else says, without what only the user may know."""
        proxy = self.proxy_address or ""
        parts = urlsplit(proxy)
        secrets = {proxy, parts.netloc.rpartition("@")[0], parts.password or ""}
        for secret in sorted(secrets - {""}, key=len, reverse=True):
            text = text.replace(secret, CONCEALED)
        return text
