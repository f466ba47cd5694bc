"""What is predicted: views on one of several scales, chosen by one parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import Field

from tiktok_virality.evaluation.metrics import (
    Floats,
    Yardstick,
    as_pair,
    classes_of,
    quartile_edges,
)
from tiktok_virality.schema import Config, DataError

TargetKind = Literal["log_views", "log_views_per_day", "log_views_at_horizon", "quartile"]

ONE_DAY: Final = np.timedelta64(1, "D")

BETWEEN_CLASSES: Final = (0.5, 1.5, 2.5)
"""A score is rounded to the nearest class."""


class TargetParameters(Config):
    """What the models learn to predict.

    Attributes:
        kind: ``log_views``: log1p of the views. ``log_views_per_day``: log1p of the views per day
            between posting and capture. ``log_views_at_horizon``: log1p of the views that a clip
            had ``horizon_days`` after posting, for sources with snapshots. ``quartile``: the class
            of the views, 0 to 3, by the quartiles of the training split, learned as a score.
        min_age_days: For views per day: a younger clip counts as this old.
        horizon_days: For the views at a horizon.
    """

    kind: TargetKind = "log_views"
    min_age_days: float = Field(default=1.0, gt=0)
    horizon_days: int = Field(default=7, ge=1)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The target of a run.

    Attributes:
        parameters: Which target, and its settings.
    """

    parameters: TargetParameters = field(default_factory=TargetParameters)

    @property
    def name(self) -> str:
        """What axes and tables call it."""
        days = self.parameters.horizon_days
        names: Mapping[TargetKind, str] = {
            "log_views": "views",
            "log_views_per_day": "views per day",
            "log_views_at_horizon": f"views after {days} {'day' if days == 1 else 'days'}",
            "quartile": "quartile of the views",
        }
        return names[self.parameters.kind]

    @property
    def unit(self) -> str:
        """What its numbers are: ``ln(1 + views)``, or a class."""
        if self.parameters.kind == "quartile":
            return "class 0 to 3"
        return f"ln(1 + {self.name})"

    @property
    def has_views(self) -> bool:
        """Whether its numbers are log1p of a count of views."""
        return self.parameters.kind in ("log_views", "log_views_at_horizon")

    def truth(self, manifest: pd.DataFrame, training: ArrayLike) -> Floats:
        """Return what is true of each clip, [N]; NaN where the source does not say.

        Args:
            manifest: ``views``; for views per day ``posted_at`` and ``captured_at``; for a horizon
                ``views_at_<n>d``.
            training: Which clips belong to the training split, bool [N]: they alone say where
                quartiles part.

        Raises:
            DataError: The manifest has no column of views at the horizon.
        """
        kind = self.parameters.kind
        if kind == "log_views_per_day":
            return np.log1p(_floats(manifest["views"]) / self._age_days(manifest))
        if kind == "log_views_at_horizon":
            return np.log1p(_floats(manifest[self._horizon_column(manifest)]))
        log_views = np.log1p(_floats(manifest["views"]))
        if kind == "log_views":
            return log_views
        edges = quartile_edges(log_views[np.asarray(training, dtype=bool)])
        return classes_of(log_views, edges).astype(np.float64)

    def views(self, values: ArrayLike) -> Floats | None:
        """Return the views that values on the target's scale stand for, [N], if it has any."""
        return np.expm1(np.asarray(values, dtype=np.float64)) if self.has_views else None

    def yardstick(self, y_train: ArrayLike) -> Yardstick:
        """Return what metrics must know, from the truth of the training split, [N].

        Raises:
            ValueError: The truth is empty, or holds NaN or infinity.
        """
        truth, _ = as_pair(y_train, y_train)
        by_quartile = self.parameters.kind == "quartile"
        return Yardstick(
            mean=float(truth.mean()),
            median=float(np.median(truth)),
            class_edges=BETWEEN_CLASSES if by_quartile else quartile_edges(truth),
            log_views=self.has_views,
        )

    @property
    def needs(self) -> str:
        """What a clip must have for its truth to exist."""
        needs: Mapping[TargetKind, str] = {
            "log_views": "views",
            "log_views_per_day": "posted_at, and a captured_at that is not earlier",
            "log_views_at_horizon": f"views_at_{self.parameters.horizon_days}d",
            "quartile": "views",
        }
        return needs[self.parameters.kind]

    def _age_days(self, manifest: pd.DataFrame) -> Floats:
        age = (manifest["captured_at"] - manifest["posted_at"]).to_numpy() / ONE_DAY
        return np.maximum(np.where(age >= 0, age, np.nan), self.parameters.min_age_days)

    def _horizon_column(self, manifest: pd.DataFrame) -> str:
        if self.needs in manifest:
            return self.needs
        raise DataError(
            f"modeling.target asks for the views {self.parameters.horizon_days} days after "
            f"posting, and the manifest has no column {self.needs!r}: the source must hold "
            "snapshots of the views, and ingestion.horizons.days this number. Collect again to "
            "add a snapshot, or choose another modeling.target.kind."
        )


def _floats(column: pd.Series) -> Floats:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)
