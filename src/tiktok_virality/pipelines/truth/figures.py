"""The figures of the benchmark's page."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tiktok_virality.pipelines.reporting.palette import GREY, SERIES, colour, faint
from tiktok_virality.pipelines.reporting.plots import TEXT, plain, distances
from tiktok_virality.pipelines.reporting.wording import REGIMES, label, number
from tiktok_virality.pipelines.truth.findings import ModelScore, WorldFindings
