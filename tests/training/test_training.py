"""Training: resumes, is not repeated, follows its seed, and never sees what it must not."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tiktok_virality.models.configs import ConvLSTMConfig, TransformerConfig
from tiktok_virality.models.precision import bfloat16_is_native
from tiktok_virality.models.readout import SecondOrderReadout
from tiktok_virality.models.trained import ModelSpec, load_trained, save_trained
from tiktok_virality.training import launcher
from tiktok_virality.training.autoencoder import reconstruct, train_autoencoder
from tiktok_virality.training.corpus import ClipTokens, LabelledClips, together
from tiktok_virality.training.data import token_batch
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.module import ViewsTrainee
from tiktok_virality.training.parameters import AutoencoderTraining, TrainingParameters
from tiktok_virality.training.predicting import predict_log_views, rehearse_log_views
from tiktok_virality.training.predictors import train_predictor
from tiktok_virality.training.ranks import Rank

SIZES = {"visual": 5, "audio": 3}
SHAPE = TransformerConfig(width=16, layers=1, heads=2, feedforward=32, dropout=0.1)
SPEC = ModelSpec(kind="modality", transformer=SHAPE, token_sizes={"visual": 5})
PARAMETERS = TrainingParameters(epochs=6, batch_size=8, learning_rate=0.01)


def clips(count: int, seed: int) -> LabelledClips:
    """Clips whose log views are the mean of their first visual feature."""
    rng = np.random.default_rng(seed)
    tokens, views = [], []
    for index in range(count):
        level = rng.normal()
        visual = rng.normal(size=(3 + index % 5, 5)).astype(np.float32)
        visual[:, 0] += 3 * level
        known = {"visual": visual}
        if index % 4:
            known["audio"] = rng.normal(size=(2, 3)).astype(np.float32)
        tokens.append(ClipTokens(tokens=known))
        views.append(10 + level)
    ids = [f"{seed}-{index}" for index in range(count)]
    return LabelledClips(
        ids=ids,
        groups=np.asarray(ids, dtype=object),
        log_duration=np.zeros(count),
        tokens=tokens,
        log_views=np.asarray(views),
    )


TRAIN, VALIDATION, TEST = clips(48, 0), clips(16, 1), clips(16, 2)


def run(folder: Path, seed: int = 3) -> TrainingRun:
    return TrainingRun.of("visual", [], checkpoints=folder, seed=seed, device="cpu")


def same_weights(one, other) -> bool:
    return all(torch.equal(value, other.state[name]) for name, value in one.state.items())


def test_a_transformer_learns_a_planted_effect(tmp_path):
    parameters = PARAMETERS.model_copy(update={"epochs": 25})
    model = train_predictor(SPEC, TRAIN, VALIDATION, parameters, run(tmp_path))
    error = predict_log_views(model, TEST.tokens) - TEST.log_views
    assert np.mean(error**2) < 0.5 * np.var(TEST.log_views)
    assert model.history[-1]["train_loss"] < model.history[0]["train_loss"]


def test_a_finished_training_is_not_repeated(tmp_path, monkeypatch):
    first = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path))
    monkeypatch.setattr(launcher, "_train", lambda *_: pytest.fail("trained again"))
    second = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path))
    assert same_weights(first, second)
    assert first.history == second.history


@pytest.mark.parametrize("max_steps", [None, 12], ids=["whole epochs", "drawn clips"])
def test_an_interrupted_training_goes_on_to_the_same_result(tmp_path, monkeypatch, max_steps):
    parameters = PARAMETERS.model_copy(update={"max_steps": max_steps})
    whole = train_predictor(SPEC, TRAIN, VALIDATION, parameters, run(tmp_path / "whole"))

    def interrupt(name, epoch, losses) -> None:
        if epoch == 3:
            raise RuntimeError("the power went out")

    with monkeypatch.context() as patched:
        patched.setattr(launcher, "log_epoch", interrupt)
        with pytest.raises(RuntimeError, match="power"):
            train_predictor(SPEC, TRAIN, VALIDATION, parameters, run(tmp_path / "cut"))
    epochs = []
    monkeypatch.setattr(launcher, "log_epoch", lambda name, epoch, losses: epochs.append(epoch))
    resumed = train_predictor(SPEC, TRAIN, VALIDATION, parameters, run(tmp_path / "cut"))
    assert epochs == [3, 4, 5]
    assert same_weights(whole, resumed)
    losses = ("train_loss", "validation_loss")
    assert [[row[k] for k in losses] for row in whole.history] == [
        [row[k] for k in losses] for row in resumed.history
    ]


def test_the_seed_decides_the_result(tmp_path):
    models = [
        train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path / str(index), seed))
        for index, seed in enumerate([1, 1, 2])
    ]
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best(tmp_path):
    patient = PARAMETERS.model_copy(update={"epochs": 60, "patience": 2, "learning_rate": 0.05})
    shuffled = dataclasses.replace(
        TRAIN, log_views=np.random.default_rng(0).permutation(TRAIN.log_views)
    )
    model = train_predictor(SPEC, shuffled, VALIDATION, patient, run(tmp_path))
    losses = [row["validation_loss"] for row in model.history]
    assert len(losses) < 60
    # The history is the Transformer's own: take it out of the blend.
    alone = dataclasses.replace(model, state={**model.state, "trust": torch.tensor(1.0)})
    error = (predict_log_views(alone, VALIDATION.tokens) - VALIDATION.log_views) ** 2
    assert error.mean() / model.target.deviation**2 == pytest.approx(min(losses), rel=1e-3)


def test_scaling_comes_from_the_training_split_alone(tmp_path):
    far_off = dataclasses.replace(VALIDATION, log_views=VALIDATION.log_views + 1000)
    model = train_predictor(SPEC, TRAIN, far_off, PARAMETERS, run(tmp_path))
    assert model.target.mean == pytest.approx(TRAIN.log_views.mean())
    tokens = np.concatenate([clip.tokens["visual"] for clip in TRAIN.tokens])
    np.testing.assert_allclose(
        model.state["deep.transformer.scale.mean"], tokens.mean(0), atol=1e-5
    )


def test_the_ensemble_begins_from_the_modality_models(tmp_path):
    alone = {
        kind: train_predictor(
            ModelSpec(kind="modality", transformer=SHAPE, token_sizes={kind: SIZES[kind]}),
            TRAIN,
            VALIDATION,
            PARAMETERS,
            TrainingRun.of(kind, [], checkpoints=tmp_path, seed=0, device="cpu"),
        )
        for kind in ("visual", "audio")
    }
    barely = PARAMETERS.model_copy(update={"epochs": 1, "learning_rate": 1e-9})
    ensemble = train_predictor(
        ModelSpec(kind="late_fusion", transformer=SHAPE, token_sizes=SIZES),
        TRAIN,
        VALIDATION,
        barely,
        TrainingRun.of("ensemble", [], checkpoints=tmp_path, seed=0, device="cpu"),
        alone,
    )
    silent = token_batch([clip for clip in TEST.tokens if "audio" not in clip.tokens], SIZES)
    with torch.inference_mode():
        visual, fused = (model.build().deep(silent) for model in (alone["visual"], ensemble))
    torch.testing.assert_close(fused, visual, atol=1e-4, rtol=0)


def test_on_few_clips_with_a_linear_effect_the_blend_is_no_worse_than_the_transformer(tmp_path):
    few = dataclasses.replace(
        TRAIN,
        **{name: getattr(TRAIN, name)[:12] for name in ("ids", "groups", "tokens", "log_views")},
    )
    model = train_predictor(SPEC, few, VALIDATION, PARAMETERS, run(tmp_path))
    deep = dataclasses.replace(model, state={**model.state, "trust": torch.tensor(1.0)})
    blended, alone = (
        np.mean((predict_log_views(each, TEST.tokens) - TEST.log_views) ** 2)
        for each in (model, deep)
    )
    assert 0 <= float(model.state["trust"]) <= 1
    assert blended < alone


@pytest.mark.parametrize(
    ("teachers", "ask"),
    [(TRAIN, rehearse_log_views), (together(TRAIN, VALIDATION), predict_log_views)],
    ids=["training clips", "training and validation clips"],
)
def test_without_trust_the_readout_of_its_teachers_decides_alone(tmp_path, teachers, ask):
    model = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path))
    alone = dataclasses.replace(model, state={**model.state, "trust": torch.tensor(0.0)})
    readout = SecondOrderReadout(SPEC.token_sizes)
    standardised = (teachers.log_views - TRAIN.log_views.mean()) / TRAIN.log_views.std()
    sizes = SPEC.token_sizes
    taught = token_batch(teachers.tokens, sizes, pooled=True)
    readout.fit(taught, standardised, teachers.groups)
    decided = readout(token_batch(TEST.tokens, sizes, pooled=True)).numpy()
    np.testing.assert_allclose(
        ask(alone, TEST.tokens),
        decided * TRAIN.log_views.std() + TRAIN.log_views.mean(),
        atol=1e-4,
    )


def test_without_a_readout_the_transformer_decides_alone(tmp_path):
    shape = SHAPE.model_copy(update={"readout": False})
    spec = SPEC.model_copy(update={"transformer": shape})
    model = train_predictor(spec, TRAIN, VALIDATION, PARAMETERS, run(tmp_path))
    assert not [name for name in model.state if name == "trust" or "readout" in name]
    assert np.isfinite(predict_log_views(model, TEST.tokens)).all()


def test_a_saved_model_predicts_the_same_and_holds_no_pickle(tmp_path):
    model = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path / "runs"))
    save_trained(model, tmp_path / "model")
    loaded = load_trained(tmp_path / "model")
    assert loaded.digest == model.digest
    assert loaded.history == model.history
    np.testing.assert_array_equal(
        predict_log_views(loaded, TEST.tokens), predict_log_views(model, TEST.tokens)
    )
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".safetensors", ".json"}


class Frames(dict):
    """Frames by video id, as a stage table gives them."""

    def row(self, video_id: str, columns=None) -> dict[str, np.ndarray]:
        pixels = self[video_id]
        row = {"pixels": pixels, "timestamps_seconds": np.arange(len(pixels), dtype=np.float32)}
        return {name: row[name] for name in columns or row}


def plain_frames(ids: list[str], lengths: list[int]) -> Frames:
    """Clips of one grey each."""
    rng = np.random.default_rng(0)
    return Frames(
        {
            video_id: np.full((length, 3, 8, 6), rng.integers(40, 220), np.uint8)
            for video_id, length in zip(ids, lengths, strict=True)
        }
    )


def test_the_autoencoder_learns_to_draw_frames_again(tmp_path):
    ids = [f"v{index}" for index in range(10)]
    frames = plain_frames(ids, [2 + index % 3 for index in range(10)])
    model = train_autoencoder(
        frames,
        ids[:7],
        ids[7:9],
        ConvLSTMConfig(hidden=4),
        AutoencoderTraining(epochs=30, batch_size=3, learning_rate=0.03),
        TrainingRun.of("autoencoder", [], checkpoints=tmp_path, seed=0, device="cpu"),
    )
    assert [row["epoch"] for row in model.history] == list(range(30))
    assert model.history[-1]["validation_loss"] < 0.5 * model.history[0]["validation_loss"]
    drawn = reconstruct(model, frames, ids[9:])
    assert drawn["reconstruction"].shape == drawn["original"].shape
    assert drawn["reconstruction"].dtype == np.uint8


def test_a_budget_bounds_the_steps_of_all_epochs(tmp_path, monkeypatch):
    steps = []
    train_batch = ViewsTrainee.training_step
    monkeypatch.setattr(
        ViewsTrainee,
        "training_step",
        lambda *arguments: steps.append(1) or train_batch(*arguments),
    )
    parameters = PARAMETERS.model_copy(update={"max_steps": 15})  # 36 in whole epochs
    model = train_predictor(SPEC, TRAIN, VALIDATION, parameters, run(tmp_path))
    assert len(model.history) == parameters.epochs
    assert len(steps) == 12  # two for each of six epochs


def test_the_autoencoder_is_judged_by_so_many_validation_clips(tmp_path):
    ids = [f"v{index}" for index in range(10)]
    frames = plain_frames(ids, [2] * 10)
    read = []
    frames.row = lambda video_id, columns=None: (
        read.append(video_id) or Frames.row(frames, video_id, columns)
    )
    train_autoencoder(
        frames,
        ids[:4],
        ids[4:],
        ConvLSTMConfig(hidden=2),
        AutoencoderTraining(epochs=1, batch_size=2, learning_rate=0.01, max_validation_clips=2),
        TrainingRun.of("autoencoder", [], checkpoints=tmp_path, seed=0, device="cpu"),
    )
    assert len(set(read) - set(ids[:4])) == 2


def test_accumulated_batches_train_as_one_batch_of_all_their_clips(tmp_path):
    ids = [f"v{index}" for index in range(8)]
    frames = plain_frames(ids, [3] * 8)
    models = []
    for batch_size, accumulation in ((4, 1), (2, 2)):
        parameters = AutoencoderTraining(
            epochs=1, batch_size=batch_size, accumulation=accumulation, learning_rate=0.03
        )
        shuffled_alike = TrainingRun.of(
            "autoencoder", [batch_size], checkpoints=tmp_path, seed=0, device="cpu"
        )
        models.append(
            train_autoencoder(
                frames, ids[:4], ids[4:], ConvLSTMConfig(hidden=4), parameters, shuffled_alike
            )
        )
    whole, parts = models
    for name, value in whole.state.items():
        torch.testing.assert_close(parts.state[name], value, atol=1e-5, rtol=1e-4)


def test_a_batch_that_does_not_fit_is_halved_and_nothing_trained_is_lost(
    tmp_path, monkeypatch, caplog
):
    """From the fourth epoch on, another program leaves memory for three clips alone."""
    sizes: dict[int, set[int]] = {}
    train_batch = ViewsTrainee.training_step

    def step(trainee, part, index):
        _, targets = part.batch
        if trainee.current_epoch >= 3 and len(targets) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        sizes.setdefault(trainee.current_epoch, set()).add(len(targets))
        return train_batch(trainee, part, index)

    monkeypatch.setattr(ViewsTrainee, "training_step", step)
    with caplog.at_level(logging.WARNING):
        model = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path))
    said = [record.message for record in caplog.records if "does not fit" in record.message]
    assert ["4 clips" in said[0], "2 clips" in said[1], len(said)] == [True, True, 2]
    assert said[1].endswith("and 4 of them make a step.")
    assert sizes == {0: {8}, 1: {8}, 2: {8}, 3: {2}, 4: {2}, 5: {2}}
    assert [row["epoch"] for row in model.history] == list(range(6))
    assert model.history[-1]["train_loss"] < model.history[0]["train_loss"]


def test_a_clip_that_does_not_fit_alone_is_an_error(tmp_path, monkeypatch):
    def step(trainee, part, index):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(ViewsTrainee, "training_step", step)
    with pytest.raises(torch.OutOfMemoryError):
        train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path))


@pytest.mark.parametrize(
    ("wanted", "native", "gpu", "expected"),
    [
        ("auto", True, False, "32-true"),
        ("full", True, True, "32-true"),
        ("mixed", True, False, "bf16-mixed"),
        ("mixed", False, False, "32-true"),
        ("auto", True, True, "bf16-mixed"),
        ("auto", False, True, "16-mixed"),
    ],
)
def test_precision_follows_the_hardware(monkeypatch, wanted, native, gpu, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(launcher, "bfloat16_is_native", lambda device: native)
    assert launcher.lightning_precision(wanted, "auto") == expected


def test_a_processor_without_bfloat16_instructions_does_not_count_as_native(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    assert not bfloat16_is_native("cpu")
    for name in ("avx512_bf16", "bf16"):  # of x86 and of ARM
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=name: {name: True})
        assert bfloat16_is_native("cpu")


def test_the_history_says_how_long_the_model_waited_for_data(tmp_path):
    model = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path))
    for epoch in model.history:
        assert 0 < epoch["waiting_share"] < 1


def test_a_loader_that_is_slower_than_the_model_shows_as_waiting(tmp_path, monkeypatch):
    clock = iter(range(10_000))  # seconds, one at every look
    history = launcher.History("model", 0, Rank(0, 1, print), quiet=True)
    monkeypatch.setattr(launcher.time, "monotonic", lambda: next(clock) * 1.0)
    monkeypatch.setattr(launcher.torch, "manual_seed", lambda seed: None)
    trainer = SimpleNamespace(
        current_epoch=0, callback_metrics={"train_loss": 1.0, "validation_loss": 1.0}
    )
    history.on_train_epoch_start(trainer, None)  # 0
    history.on_train_batch_start()  # 1: waited one second
    history.on_train_batch_end()  # 2
    history.on_train_batch_start()  # 3: waited one more
    history.on_train_batch_end()  # 4
    history.on_validation_start()  # 5
    history.on_train_epoch_end(trainer, None)
    assert history.epochs[0]["waiting_share"] == pytest.approx(2 / 5)
