"""Roles: every model has one, and only some know who posts."""

from __future__ import annotations

import pytest

from tiktok_virality.modalities import MODALITIES
from tiktok_virality.models.baselines import baseline_names, groups_read
from tiktok_virality.models.decision_fusion import FUSION_NAMES
from tiktok_virality.models.roles import order_of, regime_of, role_of

BASELINES = baseline_names(tuple(MODALITIES))


def test_every_baseline_and_fusion_has_a_role():
    assert {role_of(name) for name in BASELINES} == {"constant", "baseline"}
    assert {role_of(name) for name in FUSION_NAMES} == {"variant"}
    assert {role_of(name) for name in MODALITIES} == {"modality"}


def test_a_model_knows_the_creator_exactly_when_it_reads_who_posts():
    for name in BASELINES:
        read = groups_read(name, tuple(MODALITIES))
        assert regime_of(name) == ("creator" if "creator" in read else "content")


def test_models_of_one_modality_stand_in_the_order_of_the_registry():
    shuffled = sorted(MODALITIES)
    assert sorted(shuffled, key=order_of) == list(MODALITIES)
    ridges = [f"ridge_{name}" for name in shuffled]
    assert sorted(ridges, key=order_of) == [f"ridge_{name}" for name in MODALITIES]


def test_a_planted_model_stands_apart():
    assert (role_of("planted_oracle"), regime_of("planted_oracle")) == ("planted", "planted")


def test_an_unknown_model_is_named():
    with pytest.raises(KeyError, match="No model is called 'oracle'"):
        regime_of("oracle")
