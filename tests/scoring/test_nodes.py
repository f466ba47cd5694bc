"""Which clips are scored, and what is said of them."""

from __future__ import annotations

import json
import logging
import shutil
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from tests.media.encoding import ffmpeg, h264, picture
from tests.stages.stores import stage_store
from tiktok_virality.app import answers
from tiktok_virality.datasets import PostMetadata, VideoFolder
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import (
    FEATURES,
    IntervalModel,
    PredictedClips,
    SeedIntervals,
    calibrate,
    interval_features,
)
from tiktok_virality.evaluation.novelty import fit_novelty
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.limits import ClipLimits
from tiktok_virality.pipelines.ingestion.nodes import probe_videos
from tiktok_virality.pipelines.scoring import create_pipeline, nodes
from tiktok_virality.schema import DataError
from tiktok_virality.serving.scorer import Answer, quietly
from tiktok_virality.training.corpus import ClipTokens

CLIPS = 60


@pytest.fixture
def folder(tmp_path):
    for name in ("one.mp4", "two.mov"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def posts_in(folder):
    return PostMetadata(filepath=str(folder), before_posting=True).load()


def test_every_file_is_listed_with_what_stands_beside_it(folder, caplog):
    said = [{"file": "one.mp4", "caption": "Look #Cats"}, {"file": "gone.mp4", "caption": "x"}]
    (folder / "metadata.json").write_text(json.dumps(said))
    listed = nodes.list_unposted(VideoFolder(filepath=str(folder)).load(), posts_in(folder))
    assert listed["video_id"].tolist() == ["one", "two"]
    assert listed["hashtags"].tolist() == ["cats", ""]
    assert listed["caption"].isna().tolist() == [False, True]
    assert "names 'gone.mp4', and there is no such file" in caplog.text


def test_no_table_is_needed_and_no_views(folder):
    assert posts_in(folder).empty
    (folder / "metadata.csv").write_text("id,caption\none,Hello\n")
    listed = nodes.list_unposted(VideoFolder(filepath=str(folder)).load(), posts_in(folder))
    assert listed["caption"].tolist()[0] == "Hello"


def test_an_empty_folder_says_where_clips_belong(tmp_path):
    with pytest.raises(DataError, match="Put the videos there that are to be scored"):
        nodes.list_unposted(VideoFolder(filepath=str(tmp_path)).load(), posts_in(tmp_path))


def test_one_file_under_two_names_is_scored_under_both(folder, tmp_path_factory):
    ffmpeg(*picture(2), *h264(), folder / "one.mp4")
    shutil.copy(folder / "one.mp4", folder / "two.mov")
    videos = VideoFolder(filepath=str(folder)).load()
    posts = nodes.list_unposted(videos, posts_in(folder))
    store = stage_store(tmp_path_factory.mktemp("probes"))
    store.save(probe_videos(posts, videos))
    kept, rejects = nodes.select_unposted(posts, store.load(), ClipLimits(min_seconds=1))
    assert kept["video_id"].tolist() == ["one", "two"]
    first, second = kept["content_hash"]
    assert first == second
    assert rejects.empty


def test_nothing_that_learns_is_part_of_scoring():
    names = [node.func.__name__ for node in create_pipeline().nodes]
    assert not [name for name in names if name.startswith(("train", "fit", "calibrate"))]
    assert "embed_clips" in names


def test_features_of_intervals_are_those_that_calibrated_them():
    said = np.array([[1.0, 2.0], [3.0, np.nan]])
    features = interval_features(
        np.array([5.0, 6.0]),
        log_duration=np.array([2.0, 2.0]),
        said=said,
        distances=np.array([np.e, np.nan]),
    )
    columns = dict(zip(FEATURES, features.T, strict=True))
    assert columns["modalities"].tolist() == [2, 1]
    assert columns["disagreement"].tolist() == [1, 0]
    assert columns["log_distance"].tolist() == pytest.approx([1, 0])


@pytest.fixture
def scored() -> pd.DataFrame:
    """Two clips: one usual, one far from everything and without a voice."""
    rng = np.random.default_rng(0)
    tokens = [rng.normal(size=(5, 3)).astype(np.float32) for _ in range(CLIPS)]
    pooled = np.stack([ClipTokens(tokens={"look": each}).pooled["look"] for each in tokens])
    novelty = fit_novelty({"look": pooled[:40]}, {"look": pooled[40:]}, neighbours=5)
    features = rng.normal(size=(CLIPS, len(FEATURES)))
    calibration = PredictedClips(features=features, truth=features[:, 0] + rng.normal(size=CLIPS))
    intervals = IntervalModel(
        model="ensemble",
        method="split",
        main_seed=1,
        by_seed=(SeedIntervals(seed=1, intervals=calibrate(calibration, calibration)),),
    )
    clips = [ClipTokens(tokens={"look": tokens[0]}), ClipTokens(tokens={"look": tokens[0] + 50})]
    return nodes.score_clips(
        clips,
        pd.DataFrame({"ensemble": [7.0, 5.0], "look": [7.5, 5.5], "voice": [6.0, np.nan]}),
        pd.DataFrame({"video_id": ["usual", "odd"], "duration_seconds": [6.0, 6.0]}),
        pd.DataFrame({"views": [10, 100, 1_000, 100_000]}),
        intervals.model_dump(mode="json"),
        novelty.to_arrays(),
        TargetParameters(),
        CertaintyParameters(),
        pd.DataFrame({"video_id": ["usual"], "transcript": ["hello"]}),
    )


def test_a_score_says_where_how_sure_and_from_what(scored):
    usual, odd = scored.to_dict("records")
    assert usual["expected"] == pytest.approx(np.expm1(7.0))
    assert 0 < usual["low"] < usual["expected"] < usual["high"]
    assert usual["percentile"] == 75 and odd["percentile"] == 50
    assert not usual["unlike"] and odd["unlike"]
    assert usual["alone_voice"] == pytest.approx(np.expm1(6.0)) and np.isnan(odd["alone_voice"])
    assert usual["transcript"] == "hello"


def test_the_comparison_follows_from_the_intervals(scored):
    compared = answers.compare(scored)
    assert (compared.better, compared.other) == ("usual", "odd")
    width = (scored["upper"] - scored["lower"]).iloc[0] / 2 / NormalDist().inv_cdf(0.9)
    assert compared.probability == pytest.approx(NormalDist().cdf(2 / (width * 2**0.5)))
    assert set(compared.by_modality) == {"look"}
    assert compared.factor == pytest.approx(np.exp(2.0))


def test_the_answer_in_words_has_its_limits(scored):
    corpus = {"clips": 4, "creators": 2, "synthetic": False}
    corpus |= {"skill": 0.4, "skill_low": 0.2, "skill_high": 0.5}
    told = answers.tell(Answer(scores=scored, unscored=pd.DataFrame()), corpus)
    assert "75 of 100 clips of the corpus have fewer" in told
    assert told.count("it is unlike the training clips") == 1
    assert "Learned from 4 clips by 2 creators." in told
    assert "40% (20% to 50%) of the error of always saying the median" in told
    assert answers.NO_PROMISE in told


def test_the_answer_for_machines_has_no_nan(scored):
    corpus = {"clips": 4, "creators": 2, "synthetic": False}
    told = json.loads(answers.as_json(Answer(scores=scored, unscored=pd.DataFrame()), corpus))
    assert told["clips"][1]["alone_voice"] is None
    assert told["clips"][1]["transcript"] is None


def test_progress_of_stages_stays_out_of_answers(caplog):
    with caplog.at_level(logging.INFO), quietly():
        logging.getLogger("kedro").info("Running node")
    assert "Running node" not in caplog.text
