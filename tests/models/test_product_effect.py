"""A product of one effect per modality is found, and not invented."""

from __future__ import annotations

import numpy as np
import pytest

from tiktok_virality.models.product_effect import fit_product

COUNT = 150


@pytest.fixture
def clips() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    left = rng.normal(size=(COUNT, 2)) / np.sqrt(2)
    audio = rng.normal(size=(COUNT, 30)) / np.sqrt(30)
    return left, audio, rng.normal(size=COUNT)


def test_it_finds_the_factors_of_a_product(clips):
    left, audio, noise = clips
    target = 4 * (left @ [1.0, 0.5]) * (audio @ np.eye(30)[3]) * np.sqrt(30) / 4 + 0.1 * noise
    target = (target - target.mean()) / target.std()
    fitted = fit_product(np.zeros((COUNT, COUNT)), left, audio @ audio.T, target, noise=0.05)
    weights = audio.T @ fitted.right_dual
    assert np.abs(weights).argmax() == 3
    assert fitted.left[1] / fitted.left[0] == pytest.approx(0.5, abs=0.15)


def test_a_main_effect_is_not_taken_for_a_product(clips):
    left, audio, noise = clips
    target = 3 * left[:, 0] + 0.3 * noise
    target = (target - target.mean()) / target.std()
    fitted = fit_product(left @ left.T, left, 0.01 * audio @ audio.T, target, noise=0.1)
    product = (left @ fitted.left) * (0.01 * audio @ audio.T @ fitted.right_dual)
    assert product.var() < 0.02 * target.var()


def test_clips_without_the_right_modality_have_the_main_effect_alone(clips):
    left, audio, noise = clips
    silent = np.zeros_like(audio)
    fitted = fit_product(left @ left.T, left, silent @ silent.T, noise / noise.std(), noise=0.5)
    expected = np.linalg.solve(left @ left.T + 0.5 * np.eye(COUNT), noise / noise.std())
    np.testing.assert_allclose(fitted.main_dual, expected, atol=1e-8)
