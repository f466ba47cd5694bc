"""The rendering stage of the demo corpus: planned clips become mp4 files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tiktok_virality.execution import Outcome, StageItem, outcome_of

