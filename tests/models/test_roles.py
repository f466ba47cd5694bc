"""Roles: every model has one, and only some know who posts."""

from __future__ import annotations

import pytest

from tiktok_virality.models.baselines import FEATURES_OF
from tiktok_virality.models.decision_fusion import FUSION_NAMES
from tiktok_virality.models.roles import ROLES, regime_of, role_of


def test_every_baseline_and_fusion_has_a_role():
    assert {name for name, role in ROLES.items() if role in ("constant", "baseline")} == set(
        FEATURES_OF
    )
    assert {role_of(name) for name in FUSION_NAMES} == {"variant"}


def test_a_model_knows_the_creator_exactly_when_it_reads_who_posts():
    for name, features in FEATURES_OF.items():
        assert regime_of(name) == ("creator" if "creator" in features else "content")


def test_a_planted_model_stands_apart():
    assert (role_of("planted_oracle"), regime_of("planted_oracle")) == ("planted", "planted")


def test_an_unknown_model_is_named():
    with pytest.raises(KeyError, match="No model is called 'oracle'"):
        regime_of("oracle")
