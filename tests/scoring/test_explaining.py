"""What moves an answer, as the pipeline tells it."""

from __future__ import annotations

import io
import json
from base64 import b64decode

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.stages.items import AsTheyAre
from tests.stages.stills import still_item
from tests.stages.stores import stage_store
from tests.training.test_occlusion import SECONDS, clips, model
from tiktok_virality.app import answers
from tiktok_virality.evaluation.novelty import fit_novelty
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.pipelines.scoring import EXPLAINING, create_pipeline, explaining
from tiktok_virality.serving.scorer import Answer
from tiktok_virality.training.corpus import ClipTokens

__all__ = ["model"]


@pytest.fixture(scope="module")
def ask(model, tmp_path_factory):
    store = stage_store(tmp_path_factory.mktemp("frames"))
    stills = [
        still_item(name, np.full((3, 480, 320), 200, np.uint8)) for name in ("a", "b", "c", "6-0")
    ]
    here = Resources(in_process=True)
    store.save(StagePlan(items=stills, transform=AsTheyAre(), resources=here))
    frames = store.load()
    training, _ = clips(30, 6)
    pooled = {
        name: np.stack([clip.pooled[name] for clip in training.tokens])
        for name in ("look", "voice")
    }
    asked, seconds = clips(3, 7)
    manifest = pd.DataFrame({"video_id": ["a", "b", "c"], "duration_seconds": [8.0] * 3})
    words = pd.DataFrame(
        [("a", "caption", 0, "cat", 0.5)], columns=["video_id", "field", "place", "word", "effect"]
    )
    timed = pd.DataFrame(
        [("a", 1.5, 3.2, "transcript", "hello there"), ("b", 0.0, 8.0, "screen", "WOW")],
        columns=["video_id", "start_seconds", "end_seconds", "field", "line"],
    )
    corpus = pd.DataFrame({"video_id": list(training.ids), "views": np.exp(training.log_views)})
    novelty = fit_novelty(pooled, pooled, neighbours=5, ids=training.ids).to_arrays()
    known = (frames, corpus, model, novelty, TargetParameters())

    def explain(tokens=asked.tokens, manifest=manifest, **detail):
        why = explaining.explain_clips(
            tokens, manifest, *known, words, timed, explaining.Detail(**detail)
        )
        return json.loads(json.dumps(why))

    return explain, training, seconds


@pytest.fixture(scope="module")
def explained(ask):
    explain, _, seconds = ask
    return explain(), seconds


def test_every_part_says_how_many_times_the_views_it_makes(explained):
    why, _ = explained
    assert list(why) == ["a", "b", "c"]
    for part in why["a"]["modalities"]:
        assert part["times"] == pytest.approx(np.exp(part["effect"]), rel=0.01)
    assert [part["modality"] for part in why["a"]["modalities"]] == ["look", "voice"]
    assert why["a"]["words"][0]["times"] == pytest.approx(np.exp(0.5), rel=0.01)
    assert why["b"]["words"] == []


def test_every_second_has_its_effect_its_senses_and_its_words(explained):
    why, _ = explained
    moments = why["a"]["moments"]
    assert [moment["start_seconds"] for moment in moments] == list(range(SECONDS))
    assert set(moments[0]["by_modality"]) == {"look", "voice"}
    said = [moment["words"].get("transcript") for moment in moments]
    assert said[:4] == [None, ["hello there"], ["hello there"], ["hello there"]]
    assert not any(said[4:])
    assert why["b"]["moments"][7]["words"] == {"screen": ["WOW"]}


def test_pictures_are_small_and_have_their_times(explained):
    why, _ = explained
    [picture] = why["a"]["pictures"]
    shown = Image.open(io.BytesIO(b64decode(picture["jpeg"])))
    assert shown.size == (160, 240)
    assert picture["seconds"] >= 0


def test_clips_alike_are_those_of_the_corpus_with_their_views(explained):
    why, _ = explained
    assert len(why["c"]["alike"]) == explaining.ALIKE
    for clip in why["c"]["alike"]:
        assert clip["video_id"].startswith("6-") and clip["truth"] > 0


def test_a_clip_of_the_corpus_is_not_alike_itself(ask):
    explain, training, _ = ask
    twice = [training.tokens[0]] * 2
    own = training.ids[0]
    manifest = pd.DataFrame({"video_id": ["a", own], "duration_seconds": [8.0] * 2})
    stranger, known = (why["alike"] for why in explain(twice, manifest).values())
    assert stranger[0]["video_id"] == own and stranger[0]["distance"] == pytest.approx(0, abs=1e-6)
    assert known[:3] == stranger[1:] and len(known) == explaining.ALIKE


@pytest.mark.parametrize("heard", [("voice",), ()], ids=["a voice alone", "nothing"])
def test_a_clip_whose_pictures_nobody_could_decode_is_explained_from_what_there_is(ask, heard):
    explain, training, _ = ask
    whole = training.tokens[0]
    clip = ClipTokens(
        tokens={name: whole.tokens[name] for name in heard},
        times={name: whole.times[name] for name in heard},
    )
    manifest = pd.DataFrame({"video_id": ["in no table"], "duration_seconds": [8.0]})
    why = explain([clip], manifest)["in no table"]
    assert why["pictures"] == []
    assert [part["modality"] for part in why["modalities"]] == list(heard)
    assert len(why["moments"]) == SECONDS and np.isfinite(why["prediction"])
    if not heard:
        assert not any(moment["effect"] for moment in why["moments"]) and why["alike"] == []


def test_less_detail_is_the_same_answer_with_less_in_it(ask, explained):
    explain, *_ = ask
    brief, (full, _) = explain(by_modality=False, picture=(40, 40)), explained
    for name, why in brief.items():
        effects = [[each["effect"] for each in one["moments"]] for one in (why, full[name])]
        assert effects[0] == pytest.approx(effects[1], abs=1e-5)
        assert not any(each["by_modality"] for each in why["moments"])
        [picture] = why["pictures"]
        assert max(Image.open(io.BytesIO(b64decode(picture["jpeg"]))).size) == 40


def test_the_command_tells_the_strongest_parts(explained):
    why, _ = explained
    row = {"video_id": "a", "expected": 10.0, "low": np.nan, "high": np.nan, "percentile": 3.0}
    row |= {"unlike": False, "alone_look": 9.0, "prediction": 2.0}
    answer = Answer(scores=pd.DataFrame([row]), unscored=pd.DataFrame(), explanations=why)
    corpus = {"clips": 4, "creators": 2, "synthetic": False, "skill": None}
    told = answers.tell(answer, corpus)
    assert "words       cat x1.65" in told
    assert told.count("  second ") == answers.MOMENTS_TOLD
    assert "alike       6-" in told
    assert "moments" in json.loads(answers.as_json(answer, corpus))["explanations"]["a"]


def test_scores_do_not_need_explanations():
    whole = create_pipeline()
    scoring = whole - whole.only_nodes_with_tags(EXPLAINING)
    assert "explanations" in whole.outputs()
    assert scoring.outputs() == whole.outputs() - {"explanations"}
