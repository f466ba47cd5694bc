"""Results as JSON that every parser reads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def json_ready(value: Any) -> Any:
    """Return nested mappings and lists with ``None`` in place of NaN and infinity.

    JSON has neither; a metric that does not exist, such as a correlation with a constant, is null.
    """
    if isinstance(value, Mapping):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [json_ready(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
