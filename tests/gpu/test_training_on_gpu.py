"""Training on a GPU: as on a processor, in half precision, resumed elsewhere, and too large."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
import torch

from tests.training.test_training import (
    PARAMETERS,
    SPEC,
    TEST,
    TRAIN,
    VALIDATION,
    Frames,
    run,
)
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.training import launcher
from tiktok_virality.training.autoencoder import train_autoencoder
from tiktok_virality.training.parameters import AutoencoderTraining
from tiktok_virality.training.predicting import predict_log_views
from tiktok_virality.training.predictors import train_predictor

NO_DROPOUT = SPEC.model_copy(
    update={"transformer": SPEC.transformer.model_copy(update={"dropout": 0.0})}
)


def on_gpu(folder):
    return dataclasses.replace(run(folder), device="cuda")


def losses(model) -> np.ndarray:
    return np.array([[row["train_loss"], row["validation_loss"]] for row in model.history])


def test_losses_are_those_of_a_processor(tmp_path):
    full = PARAMETERS.model_copy(update={"precision": "full"})
    here = train_predictor(NO_DROPOUT, TRAIN, VALIDATION, full, run(tmp_path / "cpu"))
    there = train_predictor(NO_DROPOUT, TRAIN, VALIDATION, full, on_gpu(tmp_path / "cuda"))
    np.testing.assert_allclose(losses(there), losses(here), rtol=0.02)


def test_half_precision_learns_a_planted_effect(tmp_path):
    mixed = PARAMETERS.model_copy(update={"epochs": 25, "precision": "mixed"})
    model = train_predictor(SPEC, TRAIN, VALIDATION, mixed, on_gpu(tmp_path))
    assert all(value.device.type == "cpu" for value in model.state.values())
    error = predict_log_views(model, TEST.tokens) - TEST.log_views
    assert np.mean(error**2) < 0.5 * np.var(TEST.log_views)


def test_a_training_begun_on_a_gpu_ends_on_a_processor(tmp_path, monkeypatch):
    full = PARAMETERS.model_copy(update={"precision": "full"})
    whole = train_predictor(NO_DROPOUT, TRAIN, VALIDATION, full, run(tmp_path / "whole"))

    def interrupt(name, epoch, losses) -> None:
        if epoch == 3:
            raise RuntimeError("the machine was taken")

    with monkeypatch.context() as patched:
        patched.setattr(launcher, "log_epoch", interrupt)
        with pytest.raises(RuntimeError, match="taken"):
            train_predictor(NO_DROPOUT, TRAIN, VALIDATION, full, on_gpu(tmp_path / "cut"))
    resumed = train_predictor(NO_DROPOUT, TRAIN, VALIDATION, full, run(tmp_path / "cut"))
    assert [row["epoch"] for row in resumed.history] == list(range(PARAMETERS.epochs))
    np.testing.assert_allclose(losses(resumed), losses(whole), rtol=0.02)


def test_a_batch_that_does_not_fit_is_halved_until_it_does(tmp_path, caplog, card_of):
    """Gates of 16 clips of 24 frames take some GiB; a card of 1 GiB holds a few clips of them."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 24, 3, 96, 56), np.uint8)
    frames = Frames({str(index): clip for index, clip in enumerate(pixels)})
    names = list(frames)
    parameters = AutoencoderTraining(epochs=2, batch_size=16, learning_rate=0.001, precision="full")
    with card_of(1.0), caplog.at_level(logging.WARNING):
        model = train_autoencoder(
            frames, names[:24], names[24:], ConvLSTMConfig(hidden=16), parameters, on_gpu(tmp_path)
        )
    said = [row.message for row in caplog.records if "does not fit" in row.message]
    assert 1 <= len(said) <= 4
    assert "make a step" in said[-1]
    assert np.isfinite(losses(model)).all()
    assert [row["epoch"] for row in model.history] == [0, 1]
    assert torch.cuda.max_memory_allocated() < 1.1 * 2**30
