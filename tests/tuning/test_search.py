"""The search: keeps to its budget, survives failures and interruptions, follows its seed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import mlflow
import numpy as np
import pytest

from tests.tuning.clips import SIZES, clips
from tiktok_virality.models.configs import BoostingConfig, TransformerConfig
from tiktok_virality.schema import Config, DataError
from tiktok_virality.training import tuning
from tiktok_virality.training.candidates import (
    BoostingCandidate,
    EnsembleCandidate,
)
from tiktok_virality.training.folds import Fold, creator_folds
from tiktok_virality.training.parameters import (
    BoostingSpace,
    EnsembleSettings,
    EnsembleSpace,
    Span,
    TrainingParameters,
    TuningParameters,
)
from tiktok_virality.training.tuning import search, skill

TRAIN = clips(54)
TUNING = TuningParameters(
    trials=5,
    max_minutes=10,
    trial_minutes=10,
    folds=3,
    stopping_share=0.2,
    ensemble=EnsembleSpace(
        width=(8, 16),
        layers=(1,),
        heads=(2,),
        feedforward=(2,),
        dropout=Span(low=0, high=0.3),
        batch_size=(8,),
        learning_rate=Span(low=1e-3, high=1e-2, log=True),
        fine_tuning_rate=Span(low=1e-4, high=1e-3, log=True),
        weight_decay=Span(low=1e-3, high=1e-1, log=True),
    ),
    gradient_boosting=BoostingSpace(
        components=(None, 4, 200),
        learning_rate=Span(low=0.02, high=0.3, log=True),
        max_iter=(20, 40),
        max_leaf_nodes=(4, 8),
        min_samples_leaf=(3, 5),
        l2_regularization=Span(low=0.01, high=1, log=True),
    ),
)
BRIEF = TrainingParameters(epochs=2, batch_size=8, learning_rate=0.003, patience=2)
BOOSTING = BoostingCandidate(
    default=BoostingConfig(), space=TUNING.gradient_boosting, token_sizes=SIZES
)
ENSEMBLE = EnsembleCandidate(
    default=EnsembleSettings(
        transformer=TransformerConfig(width=8, layers=1, heads=2, feedforward=16),
        training=BRIEF,
        fine_tuning=BRIEF,
    ),
    space=TUNING.ensemble,
    token_sizes=SIZES,
    device="cpu",
)


class Shift(Config):
    """Settings of a model that is wrong by a known amount."""

    by: float


FAR = Shift(by=1.5)


@dataclass
class Shifted:
    """Predicts the truth, shifted; the best shift is none. Remembers what it was asked."""

    name: str = "shifted"
    default: Shift = FAR
    space: Shift = FAR
    asked: list[float] = field(default_factory=list)

    def suggest(self, trial) -> Shift:
        return Shift(by=trial.suggest_float("by", -2, 2))

    def predict(self, settings: Shift, fold: Fold, seed: int) -> np.ndarray:
        self.asked.append(settings.by)
        return fold.held_out.log_views + settings.by


def searched(candidate, folder, train=TRAIN, **changes: Any) -> dict[str, Any]:
    parameters = TUNING.model_copy(update=changes)
    return search(candidate, train, parameters, seed=3, folder=folder)


def objectives(result: dict[str, Any]) -> list[Any]:
    return [(row["state"], row["folds"], row["settings"]) for row in result["trials"]]


def test_skill_is_the_share_of_the_constants_error():
    truth = np.array([1.0, 3.0])
    assert skill(truth, truth, 2.0) == 1
    assert skill(truth, np.array([2.0, 2.0]), 2.0) == 0
    assert skill(truth, np.array([1.0, 2.0]), 2.0) == 0.5
    with pytest.raises(DataError, match="no skill can be told"):
        skill(np.ones(2), truth, 1.0)


def test_a_search_finds_better_settings_than_the_default(tmp_path):
    result = searched(Shifted(), tmp_path, trials=25)
    assert result["default"]["settings"] == {"by": 1.5}
    assert abs(result["best"]["settings"]["by"]) < 0.3
    assert result["best"]["objective"] > result["default"]["objective"]
    assert result["best"]["objective"] == pytest.approx(np.mean(result["best"]["folds"]))


def test_the_default_is_the_best_where_nothing_is_better(tmp_path):
    result = searched(Shifted(default=Shift(by=0.0)), tmp_path)
    assert result["best"] == result["default"]


def test_trials_behind_the_median_are_given_up_after_a_fold(tmp_path):
    model = Shifted()
    result = searched(model, tmp_path, trials=25)
    given_up = [row for row in result["trials"] if row["state"] == "given_up"]
    assert result["given_up"] == len(given_up) > 0
    assert all(len(row["folds"]) < 3 for row in given_up)
    assert len(model.asked) == sum(len(row["folds"]) for row in result["trials"])


@dataclass
class Interrupted(Shifted):
    """Is interrupted by the user at one call."""

    at: int = 0

    def predict(self, settings: Shift, fold: Fold, seed: int) -> np.ndarray:
        if len(self.asked) == self.at:
            self.at = -1
            raise KeyboardInterrupt
        return super().predict(settings, fold, seed)


@pytest.mark.parametrize("at", [0, 1, 7, 26])
def test_an_interrupted_search_goes_on_to_the_same_result(tmp_path, at):
    whole = searched(Shifted(), tmp_path / "whole.d", trials=12)
    model = Interrupted(at=at)
    with pytest.raises(KeyboardInterrupt):
        searched(model, tmp_path, trials=12)
    before = len(model.asked)
    result = searched(model, tmp_path, trials=12)
    assert objectives(result) == objectives(whole)
    assert len(model.asked) - before <= sum(len(row["folds"]) for row in whole["trials"])


def test_finished_trials_are_kept_and_a_larger_budget_adds_to_them(tmp_path):
    model = Shifted()
    first = searched(model, tmp_path)
    asked = len(model.asked)
    assert objectives(searched(model, tmp_path)) == objectives(first)
    assert len(model.asked) == asked
    more = searched(model, tmp_path, trials=8)
    assert objectives(more)[:5] == objectives(first)
    assert len(more["trials"]) == 8


def test_other_training_clips_begin_a_search_of_their_own(tmp_path):
    searched(Shifted(), tmp_path)
    model = Shifted()
    searched(model, tmp_path, train=clips(54, seed=1))
    assert model.asked


@dataclass
class Failing(Shifted):
    """Fails in all trials but the default's, or in all."""

    always: bool = False

    def predict(self, settings: Shift, fold: Fold, seed: int) -> np.ndarray:
        if self.always or settings != self.default:
            raise MemoryError("a step takes 12 GB")
        return super().predict(settings, fold, seed)


def test_a_trial_that_fails_is_recorded_and_counts(tmp_path):
    result = searched(Failing(), tmp_path)
    assert (result["finished"], result["failed"]) == (1, 4)
    assert result["trials"][1]["error"] == "MemoryError: a step takes 12 GB"
    assert result["best"] == result["default"]


def test_a_search_without_any_result_says_why(tmp_path):
    with pytest.raises(DataError, match="shifted came to its end; the first: MemoryError: a step"):
        searched(Failing(always=True), tmp_path)


@dataclass
class Slow(Shifted):
    """Takes two minutes for a fold, by a clock of its own, except with the default."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def predict(self, settings: Shift, fold: Fold, seed: int) -> np.ndarray:
        self.seconds += 120 * (settings != self.default)
        return super().predict(settings, fold, seed)


def test_a_trial_that_takes_too_long_is_recorded(tmp_path, monkeypatch):
    model = Slow()
    monkeypatch.setattr(tuning, "time", model)
    result = searched(model, tmp_path, trial_minutes=1)
    late = [row for row in result["trials"] if row["error"]]
    assert (len(late), result["finished"], result["failed"]) == (4, 1, 4)
    assert late[0]["error"] == "TrialTimeoutError: took longer than 60 s after 1 of 3 folds"
    assert len(late[0]["folds"]) == 1


def test_a_search_stops_when_its_time_is_over(tmp_path):
    result = searched(Shifted(), tmp_path, trials=500, max_minutes=0.3 / 60)
    assert 1 < len(result["trials"]) < 500
    assert result["wanted"] == 500


@pytest.mark.parametrize("candidate", [BOOSTING, ENSEMBLE], ids=lambda each: each.name)
def test_two_searches_of_one_seed_are_the_same(candidate, tmp_path):
    results = [searched(candidate, tmp_path / name, trials=2, folds=2) for name in ("a.d", "b.d")]
    assert objectives(results[0]) == objectives(results[1])
    assert results[0]["finished"] == 2


def test_the_boosting_finds_what_the_tokens_tell(tmp_path):
    result = searched(BOOSTING, tmp_path, train=clips(150))
    assert result["best"]["objective"] > 0.3


def test_the_default_boosting_is_that_of_the_baselines():
    from tiktok_virality.models.baselines import fit_baseline
    from tiktok_virality.training.corpus import pooled, together

    (fold, *_) = creator_folds(TRAIN, count=3, stopping_share=0.2, seed=0)
    train = together(fold.train, fold.stopping)
    baseline = fit_baseline(
        "gradient_boosting", pooled(train, SIZES), train.log_views, train.groups, seed=3
    )
    np.testing.assert_array_equal(
        BOOSTING.predict(BOOSTING.default, fold, seed=3),
        baseline.predict(pooled(fold.held_out, SIZES)),
    )


@pytest.mark.parametrize(
    "changed", [{"components": None}, {"components": 1}, {"max_iter": 5}, {"max_leaf_nodes": 2}]
)
def test_a_setting_of_the_boosting_has_its_effect(changed):
    (fold, *_) = creator_folds(TRAIN, count=3, stopping_share=0.2, seed=0)
    usual = BOOSTING.predict(BOOSTING.default, fold, seed=3)
    other = BOOSTING.predict(BOOSTING.default.model_copy(update=changed), fold, seed=3)
    assert np.abs(other - usual).max() > 1e-3


def test_the_ensemble_does_not_learn_from_what_is_held_out_or_stops_it():
    (fold, *_) = creator_folds(TRAIN, count=3, stopping_share=0.2, seed=0)
    unknown = dataclasses.replace(fold.held_out, log_views=np.full(len(fold.held_out), np.nan))
    first, second = (
        ENSEMBLE.predict(ENSEMBLE.default, dataclasses.replace(fold, held_out=held_out), 0)
        for held_out in (fold.held_out, unknown)
    )
    np.testing.assert_array_equal(first, second)


def test_mlflow_hears_of_every_trial_in_one_nested_run(tmp_path, mlflow_files):
    mlflow.create_experiment("test", artifact_location=mlflow_files)
    mlflow.set_experiment("test")
    with mlflow.start_run() as parent:
        result = searched(ENSEMBLE, tmp_path, trials=1, folds=2)
    client = mlflow.MlflowClient()
    runs = client.search_runs([parent.info.experiment_id])
    (nested,) = [run for run in runs if run.info.run_id != parent.info.run_id]
    history = client.get_metric_history(nested.info.run_id, "objective")
    assert [entry.value for entry in history] == [r["objective"] for r in result["trials"]]
    assert "training.learning_rate" in nested.data.params
    assert [a.path for a in client.list_artifacts(nested.info.run_id)] == ["trials.json"]
