"""One run at a time on a bucket, with nobody but the server to say whose turn it is."""

from __future__ import annotations

import json
import threading

import psutil
import pytest

from tiktok_virality.datasets import run_lease
from tiktok_virality.datasets.run_lease import RunLease, take_lock
from tiktok_virality.datasets.run_lock import RunLock
from tiktok_virality.schema import BusyError, StorageError
from tiktok_virality.storage import ObjectPath, place_at


def lease(bucket, *, shared: bool = False) -> RunLease:
    return RunLease.take(bucket.place, shared=shared, name="lock")


class Beats(threading.Event):
    """A clock that lets a lease beat so many times, and no longer."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = count

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        return self.left < 0


def note_of(bucket) -> ObjectPath:
    return bucket.place / ".runs" / "lock.json"


def quiet(held: RunLease) -> RunLease:
    """Let a lease beat no more."""
    held._ended.set()
    held._beating.join()
    return held


def beat(held: RunLease, count: int) -> None:
    held._ended = Beats(count)
    held._beat(held._note)


def take_over(bucket, monkeypatch) -> RunLease:
    """Take a lease as a run does that has not heard of its holder for long."""
    with monkeypatch.context() as later:
        later.setattr(run_lease, "LAPSED_SECONDS", -1.0)
        return lease(bucket)


def told(caplog) -> list[str]:
    """What a lease has said; the server of the tests says things, too."""
    return [each.getMessage() for each in caplog.records if each.name == run_lease.__name__]


def test_folders_have_the_kernels_lock(tmp_path):
    with take_lock(tmp_path, shared=False, name="lock") as lock:
        assert isinstance(lock, RunLock)


def test_a_second_run_is_told_who_has_the_data(bucket):
    with lease(bucket), pytest.raises(BusyError, match=r"Another run is changing s3://.*\n  proc"):
        lease(bucket)
    lease(bucket).release()
    assert bucket.addresses() == []


def test_a_server_that_is_away_is_one_line(bucket):
    away = place_at(bucket.address, bucket.credentials | {"endpoint": "http://127.0.0.1:9"})
    with pytest.raises(StorageError, match=r"^http://127.0.0.1:9 does not answer, .* at s3://.*$"):
        RunLease.take(away, shared=False, name="lock")


def test_shards_share_and_a_whole_run_waits_for_them(bucket):
    with lease(bucket, shared=True), lease(bucket, shared=True), pytest.raises(BusyError):
        lease(bucket)
    with lease(bucket), pytest.raises(BusyError):
        lease(bucket, shared=True)
    assert bucket.addresses() == []


@pytest.fixture
def pids_are_known(monkeypatch):
    """Let any system say of which boot and namespace its process ids are."""
    monkeypatch.setattr(run_lease, "_pids_are_of", lambda: "this")


def leave(bucket, **said: object) -> None:
    """Leave the note of a run of this machine, as it calls itself, that is gone."""
    quiet(lease(bucket))
    note = note_of(bucket)
    note.write_bytes(json.dumps(json.loads(note.read_bytes()) | {"pid": nobody()} | said).encode())


def test_what_a_killed_run_of_this_machine_left_is_taken_over_at_once(bucket, pids_are_known):
    leave(bucket)
    lease(bucket).release()


@pytest.mark.parametrize(
    ("theirs", "ours"), [("another", "this"), ("", "this"), ("this", ""), ("", "")]
)
def test_a_process_id_says_nothing_where_it_may_be_of_another_boot_or_container(
    bucket, monkeypatch, theirs, ours
):
    leave(bucket, pids_are_of=theirs)
    monkeypatch.setattr(run_lease, "_pids_are_of", lambda: ours)
    with pytest.raises(BusyError):
        lease(bucket)
    take_over(bucket, monkeypatch).release()


def test_notes_that_do_not_say_of_what_their_process_ids_are_are_waited_for(bucket, pids_are_known):
    leave(bucket)
    note = note_of(bucket)
    said = json.loads(note.read_bytes())
    del said["pids_are_of"]
    note.write_bytes(json.dumps(said).encode())
    with pytest.raises(BusyError):
        lease(bucket)


def test_process_ids_are_of_a_boot_and_a_namespace_and_of_nothing_if_either_is_hidden(
    tmp_path, monkeypatch
):
    boot, namespace = tmp_path / "boot", tmp_path / "namespace"
    monkeypatch.setattr(run_lease, "BOOT_ID", boot)
    monkeypatch.setattr(run_lease, "PID_NAMESPACE", namespace)
    assert run_lease._pids_are_of() == ""
    boot.write_text("0-1\n")
    assert run_lease._pids_are_of() == ""
    namespace.symlink_to("pid:[7]")
    assert run_lease._pids_are_of() == "0-1 pid:[7]"
    boot.unlink()
    assert run_lease._pids_are_of() == ""


def test_who_was_not_heard_of_for_long_is_taken_over(bucket, monkeypatch):
    lost = lease(bucket)
    lost._ended.set()
    note = bucket.place / ".runs" / "lock.json"
    holder = json.loads(note.read_bytes())
    note.write_bytes(json.dumps(holder | {"host": "another"}).encode())
    with pytest.raises(BusyError, match="on another"):
        lease(bucket)
    monkeypatch.setattr(run_lease, "LAPSED_SECONDS", -1.0)
    lease(bucket).release()


def test_who_holds_it_says_so_again_and_again(bucket, monkeypatch):
    monkeypatch.setattr(run_lease, "BEAT_SECONDS", 0.01)
    with lease(bucket) as held:
        first, beaten = held._e_tag, threading.Event()
        while held._e_tag == first:
            beaten.wait(0.01)
    assert bucket.addresses() == []


def test_a_beat_whose_answer_is_lost_is_known_again(bucket, monkeypatch, caplog):
    held, exchange = quiet(lease(bucket)), ObjectPath.exchange
    answers = iter([OSError("the answer is lost")])

    def lose_one(self: ObjectPath, content: bytes, e_tag: str) -> str:
        said = exchange(self, content, e_tag)
        for lost in answers:
            raise lost
        return said

    first = held._e_tag
    monkeypatch.setattr(ObjectPath, "exchange", lose_one)
    beat(held, 1)
    put = note_of(bucket).stat().e_tag
    assert held._e_tag == first != put
    beat(held, 1)
    assert held._e_tag == put
    beat(held, 1)
    assert held._e_tag == note_of(bucket).stat().e_tag != put
    assert told(caplog) == ["The lock of this run could not be renewed: the answer is lost"]
    held.release()
    assert bucket.addresses() == []


def test_a_note_that_is_gone_is_put_anew(bucket, caplog):
    held = quiet(lease(bucket))
    bucket.remove(note_of(bucket))
    beat(held, 2)
    assert held._e_tag == note_of(bucket).stat().e_tag
    [message] = told(caplog)
    assert "was gone and has been put anew" in message
    with pytest.raises(BusyError):
        lease(bucket)
    held.release()
    assert bucket.addresses() == []


def test_who_was_taken_over_says_so_once_and_leaves_the_lock_of_the_other(
    bucket, monkeypatch, caplog
):
    lost = quiet(lease(bucket))
    other = quiet(take_over(bucket, monkeypatch))
    beat(lost, 3)
    [message] = told(caplog)
    assert "Another run has taken the data of this one" in message
    lost.release()
    assert note_of(bucket).stat().e_tag == other._e_tag
    other.release()
    assert bucket.addresses() == []


def test_who_was_taken_over_without_a_beat_leaves_the_lock_of_the_other(bucket, monkeypatch):
    lost = quiet(lease(bucket))
    with take_over(bucket, monkeypatch):
        lost.release()
        with pytest.raises(BusyError):
            lease(bucket)


def test_who_ends_while_its_last_beat_finds_the_lock_taken_ends(bucket, monkeypatch):
    held, note = quiet(lease(bucket)), note_of(bucket)
    other = quiet(take_over(bucket, monkeypatch))
    found = []

    class LastBeat(threading.Thread):
        """One that is under way when its run ends."""

        def join(self, timeout: float | None = None) -> None:
            found.append(held._renew(note))

    held._beating = LastBeat()
    held.release()
    assert found == [False]
    assert note.stat().e_tag == other._e_tag
    other.release()


def test_a_lock_that_cannot_be_removed_fails_no_run(bucket, caplog):
    held = quiet(lease(bucket))
    bucket.remove(note_of(bucket))
    bucket.client.delete_bucket(Bucket=bucket.name)
    held.release()
    held.release()
    [message] = told(caplog)
    assert "could not be removed" in message
    assert f"There is no bucket '{bucket.name}'" in message


def nobody() -> int:
    """A process id that no process has."""
    return next(pid for pid in range(2**22 - 1, 1, -1) if not psutil.pid_exists(pid))
