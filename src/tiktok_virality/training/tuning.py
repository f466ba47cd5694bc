"""Searches settings by folds of the training split; an interrupted search goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

from tiktok_virality.schema import Config, DataError, digest
from tiktok_virality.storage import Place, working_folder
from tiktok_virality.tracking import ChildRun, child_run
from tiktok_virality.training.candidates import Candidate
from tiktok_virality.training.corpus import LabelledClips
from tiktok_virality.training.folds import Fold, content_digest, creator_folds
from tiktok_virality.training.kept_checkpoints import (
    fetch_journal,
    put_journal,
    wait_for_bucket,
)
from tiktok_virality.training.parameters import TuningParameters

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

logger = logging.getLogger(__name__)

VERSION: Final = 1
"""Of the search: another one does not go on with earlier journals."""

RANDOM_TRIALS: Final = 6
"""Finished trials before the sampler follows them, and before the pruner stops any."""

Settings = TypeVar("Settings", bound=Config)


class TrialTimeoutError(Exception):
    """A trial took longer than it may."""


def search(
    candidate: Candidate[Settings],
    train: LabelledClips,
    parameters: TuningParameters,
    *,
    seed: int,
    folder: Place,
) -> dict[str, Any]:
    """Search better settings of a model within the training split.

    The tree-structured Parzen estimator (Bergstra et al., 2011, "Algorithms for Hyper-Parameter
    Optimization") proposes; a trial that is behind the median after a fold is given up. The first
    trial is of the present settings. Each trial draws from the seed and the number of trials before
    it, so that an interrupted search tries what it would have tried.

    Args:
        candidate: The model.
        train: Clips of the training split, and of no other.
        parameters: The budget and the folds.
        seed: Of folds, proposals and models.
        folder: Where the journals of searches are.

    Returns:
        ``best`` and ``default``: ``settings``, ``objective`` and ``folds``, the skill on each;
        ``default`` is without an objective where it failed. ``trials``: one row each.
        ``finished``, ``given_up`` and ``failed``: how many; ``minutes``.

    Raises:
        DataError: There are too few creators, or no trial came to its end.
        StorageError: The bucket refuses, or has not answered for too long.
    """
    folds = creator_folds(
        train, count=parameters.folds, stopping_share=parameters.stopping_share, seed=seed
    )
    fingerprint = _fingerprint(candidate, train, parameters, seed)
    journal = f"{candidate.name}-{fingerprint[:16]}.journal"
    wait_for_bucket(partial(fetch_journal, folder, journal))
    study = _open(working_folder(folder) / journal, candidate.name)
    run = child_run(f"tuning_{candidate.name}")
    done = _counted(study)
    for trial in done:
        _track(run, trial)
    while len(done) < parameters.trials:
        left_seconds = 60 * parameters.max_minutes - _seconds(done)
        if left_seconds <= 0:
            logger.warning(
                "tuning %s: stopped after %d of %d trials, which took tuning.max_minutes=%g",
                candidate.name,
                len(done),
                parameters.trials,
                parameters.max_minutes,
            )
            break
        limit_seconds = min(left_seconds, 60 * parameters.trial_minutes)
        study.sampler = _sampler(seed + len(done))
        study.optimize(
            _Objective(candidate, folds, seed, limit_seconds, first=not done),
            n_trials=1,
            catch=(Exception,),
        )
        wait_for_bucket(partial(put_journal, folder, journal))
        done = _counted(study)
        _print(candidate.name, done[-1])
        _track(run, done[-1])
    result = _result(candidate, study, parameters)
    if run is not None:
        run.log_params(result["best"]["settings"])
        run.log_table("trials.json", result["trials"])
        run.finish()
    return result


def skill(y_true: np.ndarray, y_pred: np.ndarray, constant: float) -> float:
    """Return the share of a constant's squared error that predictions do away with.

    Raises:
        DataError: The constant is right everywhere, so that there is nothing to do away with.
    """
    reference = float(np.mean((y_true - constant) ** 2))
    if reference == 0:
        raise DataError("Every held-out clip has the mean number of views: no skill can be told.")
    return 1 - float(np.mean((y_true - y_pred) ** 2)) / reference


@dataclass(frozen=True)
class _Objective(Generic[Settings]):
    """The mean skill over folds, reported fold by fold."""

    candidate: Candidate[Settings]
    folds: Sequence[Fold]
    seed: int
    limit_seconds: float
    first: bool

    def __call__(self, trial: Trial) -> float:
        settings = self.candidate.default if self.first else self.candidate.suggest(trial)
        trial.set_user_attr("settings", settings.model_dump(mode="json"))
        try:
            return self._mean_skill(trial, settings)
        except Exception as error:
            if not _is_pruning(error):
                trial.set_user_attr("error", f"{type(error).__name__}: {error}")
            raise

    def _mean_skill(self, trial: Trial, settings: Settings) -> float:
        import optuna

        started, skills = time.monotonic(), list[float]()
        for number, fold in enumerate(self.folds):
            predicted = self.candidate.predict(settings, fold, self.seed)
            constant = float(fold.train.log_views.mean())
            skills.append(skill(fold.held_out.log_views, predicted, constant))
            trial.set_user_attr("folds", skills)
            trial.report(float(np.mean(skills)), step=number)
            more_to_do = number + 1 < len(self.folds)
            if more_to_do and time.monotonic() - started > self.limit_seconds:
                raise TrialTimeoutError(
                    f"took longer than {self.limit_seconds:.0f} s after {number + 1} of "
                    f"{len(self.folds)} folds"
                )
            if more_to_do and trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(skills))


def _is_pruning(error: Exception) -> bool:
    import optuna

    return isinstance(error, optuna.TrialPruned)


def _open(journal: Path, name: str) -> Study:
    """Open a search, or go on with it; a trial that was under way when it stopped is void."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))),
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=RANDOM_TRIALS),
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _sampler(seed: int) -> Any:
    import optuna

    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)


def _counted(study: Study) -> list[FrozenTrial]:
    """Return the trials that came to an end of their own, failures included."""
    from optuna.trial import TrialState

    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state in ended or "error" in trial.user_attrs
    ]


def _seconds(trials: Sequence[FrozenTrial]) -> float:
    return sum(trial.duration.total_seconds() for trial in trials if trial.duration is not None)


def _fingerprint(
    candidate: Candidate[Any], train: LabelledClips, parameters: TuningParameters, seed: int
) -> str:
    """Return a digest of all that decides a trial; a search may go on with a larger budget."""
    return digest(
        [
            VERSION,
            candidate.name,
            candidate.default.model_dump(mode="json"),
            candidate.space.model_dump(mode="json"),
            content_digest(train),
            [parameters.folds, parameters.stopping_share, seed],
        ]
    )


def _result(
    candidate: Candidate[Any], study: Study, parameters: TuningParameters
) -> dict[str, Any]:
    rows = [_row(trial) for trial in _counted(study)]
    complete = [row for row in rows if row["state"] == "finished"]
    if not complete:
        first = next((row["error"] for row in rows if row["error"]), "the time was over")
        raise DataError(
            f"No trial of the search for {candidate.name} came to its end; the first: {first}. "
            "See the log, or raise tuning.max_minutes and tuning.trial_minutes."
        )
    shown = ("settings", "objective", "folds")
    best = max(complete, key=lambda row: row["objective"])
    return {
        "name": candidate.name,
        "best": {key: best[key] for key in shown},
        "default": {key: rows[0][key] for key in shown},
        "wanted": parameters.trials,
        **{
            state: sum(row["state"] == state for row in rows)
            for state in ("finished", "given_up", "failed")
        },
        "minutes": _seconds(_counted(study)) / 60,
        "trials": rows,
    }


def _row(trial: FrozenTrial) -> dict[str, Any]:
    from optuna.trial import TrialState

    states: Mapping[TrialState, str] = {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "given_up",
        TrialState.FAIL: "failed",
    }
    return {
        "state": states[trial.state],
        "objective": trial.value if trial.state == TrialState.COMPLETE else None,
        "folds": trial.user_attrs.get("folds", []),
        "seconds": None if trial.duration is None else trial.duration.total_seconds(),
        "settings": trial.user_attrs["settings"],
        "error": trial.user_attrs.get("error"),
    }


def _print(name: str, trial: FrozenTrial) -> None:
    row = _row(trial)
    logger.info(
        "tuning %s, trial %d: %s, skill %s%s",
        name,
        trial.number,
        row["state"].replace("_", " "),
        " ".join(f"{value:.3f}" for value in row["folds"]) or "none",
        f" ({row['error']})" if row["error"] else "",
    )


def _track(run: ChildRun | None, trial: FrozenTrial) -> None:
    """Tell MLflow of a trial that came to its end."""
    if run is not None and trial.value is not None:
        run.log_metrics({"objective": trial.value}, step=trial.number)
