"""How fast a file in the published format is read, and how many of its counts are wrong.

From the root of the project: `.venv/bin/python -m benchmarks.published_format [rows]`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from tests.ingestion.published_files import PUBLISHED_ROWS, published_rows, write_published

from tiktok_virality.datasets import PostMetadata
from tiktok_virality.pipelines.ingestion.posts import parse_posts

GOAL_SECONDS = 2.0


def main() -> int:
    """Print the time and the mistakes; fail above the goal, or with any mistake."""
    rows = published_rows(int(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED_ROWS)
    with tempfile.TemporaryDirectory() as folder:
        write_published(Path(folder), rows)
        started = time.perf_counter()
        raw = PostMetadata(filepath=folder).load()
        loaded = time.perf_counter()
        posts = parse_posts(raw, read_at=pd.Timestamp.now("UTC"))
        parsed = time.perf_counter()
    wrong = sum(
        row.views != (None if pd.isna(found) else found)
        for row, found in zip(rows, posts["views"], strict=True)
    )
    untimed = sum(
        row.posted_second != (None if pd.isna(found) else found.timestamp())
        for row, found in zip(rows, posts["posted_at"], strict=True)
    )
    malformed = sum(row.views is None for row in rows)
    print(f"rows: {len(rows)}, of which {malformed} have a malformed count")
    print(f"reading {loaded - started:.2f} s, parsing {parsed - loaded:.2f} s", end=" ")
    print(f"(goal: {GOAL_SECONDS:g} s together)")
    print(f"wrong counts: {wrong}; rejected: {posts['fault'].notna().sum()}")
    print(f"wrong times of posting: {untimed}; from ids: {posts['posted_at'].notna().sum()}")
    return int(wrong > 0 or untimed > 0 or parsed - started > GOAL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
