"""Clips in memory whose views their tokens tell, by creators of three clips."""

from __future__ import annotations

import numpy as np

from tiktok_virality.training.corpus import ClipTokens, LabelledClips

SIZES = {"visual": 4, "audio": 3}


def clips(count: int, seed: int = 0) -> LabelledClips:
    rng = np.random.default_rng(seed)
    tokens, views = [], []
    for index in range(count):
        seen, heard = rng.normal(size=2)
        visual = rng.normal(seen, 0.3, (2 + index % 3, SIZES["visual"])).astype(np.float32)
        audio = rng.normal(heard, 0.3, (2, SIZES["audio"])).astype(np.float32)
        known = {"visual": visual} if index % 9 == 4 else {"visual": visual, "audio": audio}
        tokens.append(ClipTokens(tokens=known))
        views.append(10 + seen + heard)
    return LabelledClips(
        ids=[f"{seed}-{index}" for index in range(count)],
        groups=np.asarray([f"creator {seed}-{index // 3}" for index in range(count)], dtype=object),
        log_duration=np.zeros(count),
        tokens=tokens,
        log_views=np.asarray(views),
    )
