"""A control that must fail: what is known only after posting, as a feature."""

from __future__ import annotations

import pytest

from tests.modeling.test_pipeline import corpus as small_corpus
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.pipelines.modeling.nodes import assemble_clips
from tiktok_virality.schema import DataError
from tiktok_virality.training import corpus


def test_a_run_whose_features_hold_likes_is_refused(monkeypatch):
    inputs = small_corpus()
    main, _ = assemble_clips(**inputs, target=TargetParameters())
    assert main.splits["train"] is not None
    inputs["manifest"] = inputs["manifest"].assign(likes=inputs["manifest"]["views"] // 10)
    monkeypatch.setattr(corpus, "METADATA_FEATURES", (*corpus.METADATA_FEATURES, "likes"))
    with pytest.raises(DataError, match="Known only after posting, so never a feature: likes"):
        assemble_clips(**inputs, target=TargetParameters())
