"""The local site, and collections from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.collection.site import LocalSite, serve
from tiktok_virality.collection.config import CollectionParameters, SiteAccess
from tiktok_virality.collection.ledger import CollectionState, FoundVideo
from tiktok_virality.datasets import CollectionFolder

QUICK: Mapping[str, Any] = {
    "politeness": {"seconds_between_requests": 0, "first_retry_seconds": 0},
    "browser": {"page_seconds": 10, "growth_seconds": 2},
    "limits": {"stall_seconds": 5},
}
NOW = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Corpus:
    """A collection folder, and the site whose links it knows."""

    site: LocalSite
    root: Path

    @property
    def videos(self) -> Path:
        return self.root / "videos"

    @property
    def folder(self) -> CollectionFolder:
        return CollectionFolder(filepath=str(self.root / "collection"), path=str(self.videos))

    @property
    def state(self) -> CollectionState:
        return self.folder.load()

    @property
    def access(self) -> SiteAccess:
        return SiteAccess(creator_key=SecretStr("a key"))

    def parameters(self, **changes: Any) -> CollectionParameters:
        topics = {"Sports": ("football",), "Music": ("guitar",)}
        base = {"base_url": self.site.address, "topics": topics, "videos_per_topic": 3}
        nested = {key: {**value, **changes.pop(key, {})} for key, value in QUICK.items()}
        return CollectionParameters(**{**base, **nested, **changes})

    def find(self, *hashtags: str) -> None:
        """Note the links of hashtags as discovery does."""
        topics = {"football": "Sports", "guitar": "Music"}
        for hashtag in hashtags:
            for post in self.site.of(hashtag):
                link = {"video_id": post.video_id, "topic": topics[hashtag], "hashtag": hashtag}
                self.folder.save(FoundVideo(**link, found_at=NOW))

    def files(self) -> list[str]:
        """Names of all files beside the notes, hidden ones included."""
        paths = sorted(self.videos.rglob("*")) if self.videos.exists() else []
        return [str(path.relative_to(self.videos)) for path in paths if path.is_file()]


@pytest.fixture
def site() -> Iterator[LocalSite]:
    with serve({"football": 4, "guitar": 4}) as running:
        yield running


@pytest.fixture
def corpus(site: LocalSite, tmp_path: Path) -> Corpus:
    return Corpus(site, tmp_path / "01_raw")
