"""Versions of the scorer in MLflow: one is the champion, and a later one its challenger."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tiktok_virality.pipelines.reporting.wording import probability
from tiktok_virality.schema import ProjectError

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
ARTIFACT: Final = "artifacts/bundle"
CODE: Final = Path(__file__).with_name("scoring_model.py")
PACKAGE: Final = Path(__file__).parents[1]
FEWEST_CLIPS: Final = 20
"""Tested by both, below which nothing is said of them."""

ALPHA: Final = 0.05
FLIPS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Duel:
    """How two versions did on the clips that neither had seen.

    Attributes:
        champion: Its version.
        challenger: Its version.
        clips: That both were tested on.
        creators: Of these clips.
        skill: Share of the champion's squared error that the challenger does away with.
        p_value: Of no difference, two-sided, by signs of whole creators.
    """

    champion: str
    challenger: str
    clips: int
    creators: int
    skill: float
    p_value: float

    @property
    def challenger_is_better(self) -> bool:
        """Whether that may be claimed."""
        return self.skill > 0 and self.p_value <= ALPHA

    @property
    def sentence(self) -> str:
        """What is said of it."""
        more = "less" if self.skill >= 0 else "more"
        return (
            f"On {self.clips} clips by {self.creators} creators that neither had seen, version "
            f"{self.challenger} has {abs(self.skill):.0%} {more} squared error than the champion, "
            f"version {self.champion} (p {probability(self.p_value)})."
        )


def registered_name(experiment: str, env: str | None) -> str:
    """Return what the scorer of an environment is called in MLflow."""
    return experiment if env in (None, "base", "local") else f"{experiment}_{env}"


def log_scorer(bundle: Path, name: str) -> str:
    """Log a bundle to the active run, and register it; return its version.

    The first of its name is the champion, a later one the challenger.

    Args:
        bundle: A folder that `write_bundle` made.
        name: Of the registered model.
    """
    import mlflow

    with _silent_about_the_example():
        logged = mlflow.pyfunc.log_model(
            name="scorer",
            python_model=str(CODE),
            artifacts={"bundle": str(bundle)},
            code_paths=[str(PACKAGE)],
            signature=_signature(),
            input_example=pd.DataFrame({"clip": ["draft.mp4"], "caption": ["my day with a cat"]}),
            pip_requirements=_requirements(),
            registered_model_name=name,
            await_registration_for=0,
        )
    number = str(logged.registered_model_version)
    client = mlflow.MlflowClient()
    alias = CHALLENGER if _version_called(client, name, CHAMPION) else CHAMPION
    client.set_registered_model_alias(name, alias, number)
    return number


def duel(name: str) -> Duel:
    """Compare the challenger with the champion.

    Raises:
        ProjectError: One is missing, or too few clips were tested by both.
    """
    import mlflow

    client = mlflow.MlflowClient()
    versions = [_version_called(client, name, alias) for alias in (CHAMPION, CHALLENGER)]
    for alias, number in zip((CHAMPION, CHALLENGER), versions, strict=True):
        if number is None:
            raise ProjectError(
                f"MLflow has no {alias} of {name!r}: every run that trains models registers one."
            )
    with TemporaryDirectory(prefix="duel-") as folder:
        old, new = (_tested(name, str(number), Path(folder)) for number in versions)
    return judge(old, new, [str(number) for number in versions])


def judge(champion: pd.DataFrame, challenger: pd.DataFrame, names: Sequence[str]) -> Duel:
    """Compare what two versions said of the clips that neither had seen.

    Args:
        champion: ``video_id``, ``creator_id``, ``y_true``, ``y_pred``.
        challenger: The same.
        names: Versions of both.

    Raises:
        ProjectError: Too few clips were tested by both, or they were told different truths.
    """
    import numpy as np

    from tiktok_virality.evaluation.significance import ClusterSignFlips

    both = champion.merge(challenger, on="video_id", suffixes=("", "_new"))
    if len(both) < FEWEST_CLIPS:
        raise ProjectError(
            f"Champion and challenger were both tested on {len(both)} clips, fewer than "
            f"{FEWEST_CLIPS}: nothing can be said of them. `--force` promotes without a test."
        )
    if not np.allclose(both["y_true"], both["y_true_new"]):
        raise ProjectError(
            "Champion and challenger were told different truths about the same clips (another "
            "target, or newer views): their errors cannot be compared. `--force` promotes without "
            "a test."
        )
    old, new = (np.square(both[name] - both["y_true"]).mean() for name in ("y_pred", "y_pred_new"))
    p_value = ClusterSignFlips(flips=FLIPS, seed=0).p_value(
        both["y_true"], both["y_pred_new"], both["y_pred"], both["creator_id"].tolist()
    )
    return Duel(
        champion=names[0],
        challenger=names[1],
        clips=len(both),
        creators=int(both["creator_id"].nunique()),
        skill=float(1 - new / old) if old else 0.0,
        p_value=float(p_value),
    )


def promote(name: str) -> str:
    """Make the challenger the champion; return its version.

    Raises:
        ProjectError: There is none.
    """
    import mlflow

    client = mlflow.MlflowClient()
    number = _version_called(client, name, CHALLENGER)
    if number is None:
        raise ProjectError(f"There is no challenger of {name!r} in MLflow.")
    client.set_registered_model_alias(name, CHAMPION, number)
    client.delete_registered_model_alias(name, CHALLENGER)
    return number


@contextmanager
def _silent_about_the_example() -> Iterator[None]:
    """Keep MLflow, which tries the example, from saying that there is no such clip here."""
    mlflow_says = logging.getLogger("mlflow.models.model")
    before = mlflow_says.level
    mlflow_says.setLevel(logging.ERROR)
    try:
        yield
    finally:
        mlflow_says.setLevel(before)


def _version_called(client: MlflowClient, name: str, alias: str) -> str | None:
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_model_version_by_alias(name, alias).version)
    except MlflowException:
        return None


def _tested(name: str, number: str, folder: Path) -> pd.DataFrame:
    import mlflow

    from tiktok_virality.serving.bundle import PREDICTIONS

    uri = f"models:/{name}/{number}/{ARTIFACT}/{PREDICTIONS}"
    return pd.read_parquet(mlflow.artifacts.download_artifacts(uri, dst_path=str(folder / number)))


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    return ModelSignature(
        inputs=Schema([ColSpec("string", "clip"), ColSpec("string", "caption", required=False)])
    )


def _requirements() -> list[str]:
    """Return what the project depends on, in the versions that are installed."""
    from packaging.requirements import Requirement

    found = []
    for line in requires("tiktok_virality") or []:
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": "ocr"}):
            continue
        try:
            extras = f"[{','.join(sorted(needed.extras))}]" if needed.extras else ""
            found.append(f"{needed.name}{extras}=={version(needed.name).partition('+')[0]}")
        except PackageNotFoundError:
            continue
    return found
