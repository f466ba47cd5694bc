"""Fusions of decisions: what they share, what they learn, and what a missing modality means."""

from __future__ import annotations

import numpy as np
import pytest

from tiktok_virality.models.decision_fusion import (
    FUSION_NAMES,
    DecisionFusion,
    Decisions,
    fit_fusions,
)

MEAN, DEVIATION = 10.0, 2.0
CLIPS = 400


def decided(visual, audio, present=None) -> Decisions:
    values = np.stack([visual, audio], axis=1).astype(float)
    everywhere = np.ones(values.shape, dtype=bool)
    return Decisions(values=values, present=everywhere if present is None else np.array(present))


@pytest.fixture(scope="module")
def parts() -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.random.default_rng(0).normal(0, 1, (2, CLIPS)))


def fit(
    decisions: Decisions, y: np.ndarray, groups: np.ndarray | None = None
) -> dict[str, DecisionFusion]:
    each = np.arange(len(y)) if groups is None else groups
    return fit_fusions(decisions, y, each, MEAN, DEVIATION)


def test_the_mean_of_three_decisions_is_over_those_that_there_are():
    values = np.array([[12.0, 9.0, 6.0]] * 2)
    present = np.array([[True, True, True], [True, False, True]])
    decisions = Decisions(values=values, present=present)
    mean = fit(decisions, np.array([9.0, 9.0]))["late_fusion_mean"]
    assert mean.predict(decisions) == pytest.approx([9.0, 9.0])
    assert mean.predict(Decisions(values=np.add(values, [0, 99, 0]), present=present))[1] == 9.0


def test_the_mean_is_the_mean_of_both_decisions(parts):
    decisions = decided(MEAN + parts[0], MEAN + parts[1])
    mean = fit(decisions, MEAN + parts[0])["late_fusion_mean"]
    np.testing.assert_allclose(mean.predict(decisions), decisions.values.mean(axis=1))


def test_stacking_adds_up_independent_parts_and_drops_what_misleads(parts):
    seen, heard = parts
    y = MEAN + seen + heard
    additive = fit(decided(MEAN + seen, MEAN + heard), y)["late_fusion_stacking"]
    assert additive.weights == pytest.approx((1, 1), abs=0.05)
    misled = fit(decided(MEAN + seen + heard, MEAN - heard), y)["late_fusion_stacking"]
    assert misled.weights == pytest.approx((1, 0), abs=0.05)


def test_stacking_does_not_take_a_few_creators_for_many_facts():
    rng = np.random.default_rng(3)
    creators = np.repeat(np.arange(9), 6)
    weights: dict[str, list[float]] = {"known": [], "unknown": []}
    for _ in range(20):
        worth, look = rng.normal(size=(2, 9))[:, creators]  # which have nothing to do with another
        decisions = decided(MEAN + look + rng.normal(size=54), MEAN + rng.normal(size=54))
        for name, groups in (("unknown", None), ("known", creators)):
            fitted = fit(decisions, MEAN + DEVIATION * worth, groups)
            weights[name].append(fitted["late_fusion_stacking"].weights[0])
    assert np.mean(weights["unknown"]) > 0.05
    assert max(weights["known"]) < 0.01


def test_stacking_gives_no_weight_where_there_is_nothing_to_find():
    rng = np.random.default_rng(5)
    weights = [
        fit(decided(*(MEAN + rng.normal(0, 0.2, (2, 60)))), MEAN + rng.normal(0, DEVIATION, 60))[
            "late_fusion_stacking"
        ].weights
        for _ in range(30)
    ]
    assert np.quantile(weights, 0.75) < 0.01  # half of them are zero in any case


def test_the_gate_trusts_the_modality_that_is_right(parts):
    seen, heard = parts
    decisions = decided(MEAN + seen, MEAN + heard)
    for y, index in ((MEAN + seen, 0), (MEAN + heard, 1)):
        gate = fit(decisions, y)["late_fusion_gate"]
        right = decisions.values[:, index]
        assert np.mean((gate.predict(decisions) - right) ** 2) < 0.05


def test_the_gate_trusts_the_decision_that_dares_more_where_that_is_right(parts):
    seen, heard = parts
    bolder = np.where(np.abs(seen) > np.abs(heard), seen, heard)
    decisions = decided(MEAN + seen, MEAN + heard)
    fitted = fit(decisions, MEAN + bolder)
    assert fitted["late_fusion_gate"].gate[-1] > 1
    error = {
        name: np.mean((f.predict(decisions) - MEAN - bolder) ** 2) for name, f in fitted.items()
    }
    assert error["late_fusion_gate"] < 0.5 * error["late_fusion_mean"]


@pytest.mark.parametrize("name", FUSION_NAMES)
def test_a_missing_modality_leaves_the_decision_to_the_other_and_none_to_the_mean(parts, name):
    fusion = fit(decided(MEAN + parts[0], MEAN + parts[1]), MEAN + 3 * parts[0])[name]
    decisions = decided([12, 12, 12], [7, 7, 7], [[True, False], [False, True], [False, False]])
    assert fusion.predict(decisions) == pytest.approx([12, 7, MEAN])


def test_without_a_clip_that_has_both_modalities_every_fusion_is_the_mean():
    decisions = decided([12.0, 9.0], [8.0, 9.0], [[True, False], [False, True]])
    both = decided([12.0], [9.0])
    for fusion in fit(decisions, np.array([11.0, 9.0])).values():
        assert fusion.predict(both) == pytest.approx([10.5])


def test_a_fusion_survives_json(parts):
    decisions = decided(MEAN + parts[0], MEAN + parts[1])
    for fusion in fit(decisions, MEAN + parts[0]).values():
        read = DecisionFusion.model_validate_json(fusion.model_dump_json())
        np.testing.assert_array_equal(read.predict(decisions), fusion.predict(decisions))
