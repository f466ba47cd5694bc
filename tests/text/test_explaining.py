"""What single words do to an answer, and when words are said and shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.stages.items import AsTheyAre
from tests.stages.stores import stage_store
from tests.training.test_training import SHAPE
from tiktok_virality.execution import Resources, StageItem, StagePlan
from tiktok_virality.models.text_configs import TextParameters
from tiktok_virality.models.text_encoder import find_text_checkpoint
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.pipelines.text import explaining
from tiktok_virality.stages.text import FIELDS, TextReader
from tiktok_virality.training.corpus import ClipTokens, LabelledClips
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import TrainingParameters
from tiktok_virality.training.predictors import train_predictor

PARAMETERS = TextParameters()
LIKED, OTHERS = ("kitten", "puppy"), ("tax", "form", "gravel", "invoice")


def texts(count: int, seed: int) -> tuple[list[dict[str, str]], np.ndarray]:
    """Captions, of which those with an animal are liked."""
    rng = np.random.default_rng(seed)
    liked = rng.integers(2, size=count).astype(bool)
    captions = [
        f"my {rng.choice(OTHERS)} and a {rng.choice(LIKED if like else OTHERS)} today"
        for like in liked
    ]
    nothing = dict.fromkeys(FIELDS, "")
    return [nothing | {"caption": caption} for caption in captions], liked


@pytest.fixture(scope="module")
def reader() -> TextReader:
    reader = TextReader(PARAMETERS, find_text_checkpoint(PARAMETERS))
    reader.setup()
    return reader


@pytest.fixture(scope="module")
def model(reader, tmp_path_factory):
    def labelled(count: int, seed: int) -> LabelledClips:
        said, liked = texts(count, seed)
        items = [StageItem(video_id=str(k), digest="", payload=each) for k, each in enumerate(said)]
        tokens = [
            ClipTokens(tokens={"text": np.asarray(done.columns["tokens"], np.float32)})
            for done in reader(items)
        ]
        ids = [f"{seed}-{index}" for index in range(count)]
        return LabelledClips(
            ids=ids,
            groups=np.asarray(ids, dtype=object),
            log_duration=np.zeros(count),
            tokens=tokens,
            log_views=8 + 2.0 * liked,
        )

    train = labelled(80, 0)
    size = train.tokens[0].tokens["text"].shape[1]
    return train_predictor(
        ModelSpec(kind="modality", transformer=SHAPE, token_sizes={"text": size}),
        train,
        labelled(30, 1),
        TrainingParameters(epochs=1, batch_size=16, learning_rate=0.01),
        TrainingRun.of("t", [], checkpoints=tmp_path_factory.mktemp("t"), seed=1, device="cpu"),
    )


def stored(folder: Path, plan: StagePlan):
    store = stage_store(folder)
    store.save(plan)
    return store.load()


def test_the_word_that_is_liked_lifts_the_answer_most(model, reader, tmp_path):
    caption = "my gravel and a kitten today"
    said = dict.fromkeys(FIELDS, "") | {"caption": caption, "transcript": "an invoice"}
    here = Resources(in_process=True)
    items = [StageItem(video_id="a", digest="a", payload=said)]
    table = stored(
        tmp_path / "texts",
        StagePlan(items=items, transform=reader, absent={"b": "no words"}, resources=here),
    )
    plan = explaining.leave_out_words(table, PARAMETERS)
    assert len(plan.items) == 8
    assert plan.items[4].payload["caption"] == "my gravel and a today"
    altered = stored(tmp_path / "altered", plan)
    clips = [
        ClipTokens(tokens={"text": np.asarray(table.row("a")["tokens"], np.float32)}),
        ClipTokens(tokens={}),
    ]
    manifest = pd.DataFrame({"video_id": ["a", "b"]})
    effects = explaining.weigh_words(clips, manifest, table, altered, model)
    assert effects["word"].tolist() == [*caption.split(), "an", "invoice"]
    best = effects.loc[effects["effect"].idxmax()]
    assert (best["word"], best["field"], best["place"]) == ("kitten", "caption", 4)


def test_words_have_the_times_at_which_they_are_said_and_shown(tmp_path):
    here = Resources(in_process=True)
    segment = {"start_seconds": 1.0, "end_seconds": 2.5, "text": " hello"}
    line = {"text": "WOW", "confidence": 1.0, "height": 0.1}
    line |= {"first_seconds": 0.5, "last_seconds": 3.0}
    tables = [
        stored(
            tmp_path / name,
            StagePlan(
                items=[StageItem(video_id="a", digest="a", payload={name: rows})],
                transform=AsTheyAre(),
                resources=here,
            ),
        )
        for name, rows in (("segments", [segment]), ("lines", [line]))
    ]
    timed = explaining.time_words(*tables)
    assert timed.to_dict("records") == [
        {"video_id": "a", "start_seconds": 1.0, "end_seconds": 2.5}
        | {"field": "transcript", "line": "hello"},
        {"video_id": "a", "start_seconds": 0.5, "end_seconds": 3.0}
        | {"field": "screen", "line": "WOW"},
    ]
