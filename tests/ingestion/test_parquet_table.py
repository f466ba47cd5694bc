from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from tiktok_virality.datasets.parquet_table import OptionalParquet, ParquetTable


def test_moments_and_missing_values_can_be_previewed(tmp_path):
    table = pd.DataFrame(
        {
            "video_id": ["a", "b"],
            "posted_at": pd.to_datetime(["2022-06-08", None], utc=True),
            "views": pd.array([5, None], dtype="Int64"),
            "caption": [None, "x"],
        }
    )
    dataset = ParquetTable(filepath=str(tmp_path / "table.parquet"))
    dataset.save(table)
    preview = json.loads(json.dumps(dataset.preview(nrows=2)))
    assert preview["columns"] == ["video_id", "posted_at", "views", "caption"]
    assert preview["data"] == [
        ["a", "2022-06-08T00:00:00.000Z", 5, None],
        ["b", None, None, "x"],
    ]


def test_a_table_that_may_be_absent_is_none_and_has_an_empty_preview(tmp_path):
    dataset = OptionalParquet(filepath=str(tmp_path / "table.parquet"))
    assert dataset.load() is None
    assert dataset.preview()["data"] == []
    dataset.save(pd.DataFrame({"video_id": ["a"]}))
    assert dataset.preview()["data"] == [["a"]]


def test_a_table_elsewhere_is_written_there_and_not_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = ParquetTable(filepath="memory://elsewhere/table.parquet")
    table.save(pd.DataFrame({"x": [1, 2]}))
    assert table.load()["x"].tolist() == [1, 2]
    assert list(tmp_path.rglob("*")) == []
    assert not Path("/elsewhere").exists()
