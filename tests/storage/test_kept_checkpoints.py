"""Trainings and searches whose bucket is away, or that another machine has gone on with."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from tests.buckets import Bucket
from tests.training.test_training import PARAMETERS, SPEC, TRAIN, VALIDATION, same_weights
from tests.tuning.test_search import Interrupted, Shifted, objectives, searched
from tiktok_virality.datasets import CheckpointFolder
from tiktok_virality.schema import StorageError
from tiktok_virality.storage import ObjectPath, working_folder
from tiktok_virality.training import kept_checkpoints, launcher
from tiktok_virality.training.kept_checkpoints import put_journal
from tiktok_virality.training.launcher import BEST_NAME, FINISHED_NAME, LAST_NAME, TrainingRun
from tiktok_virality.training.predictors import train_predictor


def training_in(bucket: Bucket) -> TrainingRun:
    folder = CheckpointFolder(
        filepath=f"{bucket.address}/06_models/checkpoints", credentials=bucket.credentials
    )
    return TrainingRun.of("visual", [], checkpoints=folder.load(), seed=3, device="cpu")


def trained(run: TrainingRun):
    return train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run)


def on_disk(folder) -> TrainingRun:
    return TrainingRun.of("visual", [], checkpoints=folder, seed=3, device="cpu")


@pytest.fixture
def epochs(monkeypatch) -> list[int]:
    """The epochs that are trained, which are put at once."""
    done: list[int] = []
    monkeypatch.setattr(kept_checkpoints, "PUT_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(launcher, "log_epoch", lambda name, epoch, losses: done.append(epoch))
    return done


@pytest.fixture
def outage(monkeypatch) -> Callable[[Callable[[str, int], bool]], None]:
    """Fail to put what is told by its name and the number of attempts before it; wait no time."""
    monkeypatch.setattr("tiktok_virality.execution.absence.WAITS_SECONDS", (0.0, 0.0))
    put = ObjectPath.put_file

    def begin(fails: Callable[[str, int], bool]) -> None:
        attempts = dict[str, int]()

        def put_file(place, file) -> None:
            attempts[place.name] = attempts.get(place.name, 0) + 1
            if fails(place.name, attempts[place.name] - 1):
                raise OSError(errno.EHOSTUNREACH, "the server does not answer", str(place))
            put(place, file)

        monkeypatch.setattr(ObjectPath, "put_file", put_file)

    return begin


def stop_at(monkeypatch, epoch: int, run: TrainingRun) -> None:
    """Train until the machine is lost."""

    def lose_the_machine(name, now, losses) -> None:
        if now == epoch:
            raise RuntimeError("the power went out")

    with monkeypatch.context() as patched:
        patched.setattr(launcher, "log_epoch", lose_the_machine)
        with pytest.raises(RuntimeError, match="power"):
            trained(run)


def test_a_bucket_that_is_away_for_some_epochs_ends_no_training(
    bucket, tmp_path, epochs, outage, caplog
):
    outage(lambda name, before: name == BEST_NAME and before < 3)
    run = training_in(bucket)
    assert same_weights(trained(run), trained(on_disk(tmp_path / "disk")))
    assert caplog.text.count("training goes on, its checkpoints are put later") == 1
    assert (run.place / LAST_NAME).is_file() and (run.place / FINISHED_NAME).is_file()


def test_a_training_waits_at_its_end_for_a_bucket_that_comes_back(bucket, epochs, outage, caplog):
    outage(lambda name, before: name == FINISHED_NAME and before < 2)
    run = training_in(bucket)
    trained(run)
    assert caplog.text.count("looking again") == 2
    assert (run.place / FINISHED_NAME).is_file()


def test_a_finished_training_that_could_not_be_put_is_put_by_the_next_run(
    bucket, tmp_path, epochs, outage
):
    run = training_in(bucket)
    outage(lambda name, before: name == FINISHED_NAME)
    with pytest.raises(StorageError, match=r"^the server does not answer: s3://.* here again"):
        trained(run)
    outage(lambda name, before: False)
    first = trained(run)
    second = trained(training_in(bucket.on_another_machine(tmp_path / "second")))
    assert same_weights(first, second)
    assert epochs == [0, 1, 2, 3, 4, 5]


def test_a_machine_that_comes_back_goes_on_from_where_another_has_come(
    bucket, tmp_path, monkeypatch, epochs
):
    first, second = training_in(bucket), training_in(bucket.on_another_machine(tmp_path / "second"))
    stop_at(monkeypatch, 1, first)
    stop_at(monkeypatch, 4, second)
    resumed = trained(first)
    assert epochs == [4, 5]
    assert same_weights(resumed, trained(on_disk(tmp_path / "disk")))


def test_a_machine_that_was_the_last_to_put_goes_on_with_what_it_has(
    bucket, monkeypatch, epochs, outage
):
    run = training_in(bucket)
    outage(lambda name, before: name == LAST_NAME and before > 0)
    stop_at(monkeypatch, 4, run)
    outage(lambda name, before: False)
    trained(run)
    assert epochs == [4, 5]


def journal_in(place: ObjectPath) -> ObjectPath:
    (journal,) = place.glob("*.journal")
    return journal.fresh


def test_a_search_that_comes_back_takes_what_another_machine_has_tried(bucket, tmp_path):
    second = bucket.on_another_machine(tmp_path / "second").place
    searched(Shifted(), bucket.place, trials=2)
    more = searched(Shifted(), second, trials=5)
    model = Shifted()
    assert objectives(searched(model, bucket.place, trials=5)) == objectives(more)
    assert not model.asked


def test_a_search_that_was_lost_within_a_trial_gives_way_to_what_another_has_tried(
    bucket, tmp_path, caplog
):
    second = bucket.on_another_machine(tmp_path / "second").place
    with pytest.raises(KeyboardInterrupt):
        searched(Interrupted(at=7), bucket.place, trials=6)
    other = searched(Shifted(), second, trials=5)
    kept = journal_in(bucket.place).read_bytes()
    model = Shifted()
    result = searched(model, bucket.place, trials=6)
    assert objectives(result)[:5] == objectives(other)
    assert len(model.asked) == len(result["trials"][5]["folds"])
    assert journal_in(bucket.place).read_bytes().startswith(kept)
    assert caplog.text.count("another machine has gone on; the one here is now") == 1


def test_a_journal_is_not_put_over_what_it_lacks(bucket, caplog):
    journal = bucket.place / "a.journal"
    journal.write_bytes(b"1\n2\n")
    (working_folder(bucket.place) / journal.name).write_bytes(b"1\nmine\n3\n")
    put_journal(bucket.place, journal.name)
    assert journal.read_bytes() == b"1\n2\n"
    assert "another machine has gone on with it" in caplog.text


def test_a_search_waits_for_its_bucket_and_puts_later_what_it_could_not(
    bucket, tmp_path, outage, caplog
):
    outage(lambda name, before: before < 2)
    searched(Shifted(), bucket.place, trials=2)
    assert caplog.text.count("looking again") == 2
    outage(lambda name, before: True)
    with pytest.raises(StorageError, match="the server does not answer: s3://"):
        searched(Shifted(), bucket.place, trials=3)
    outage(lambda name, before: False)
    here = Shifted()
    searched(here, bucket.place, trials=3)
    there = Shifted()
    searched(there, bucket.on_another_machine(tmp_path / "second").place, trials=3)
    assert not there.asked
