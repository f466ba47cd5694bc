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
from tiktok_virality.storage import place_at


def lease(bucket, *, shared: bool = False) -> RunLease:
    return RunLease.take(bucket.place, shared=shared, name="lock")


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


def test_what_a_killed_run_of_this_machine_left_is_taken_over_at_once(bucket):
    killed = lease(bucket)
    note = bucket.place / ".runs" / "lock.json"
    holder = json.loads(note.read_bytes())
    killed._ended.set()
    note.write_bytes(json.dumps(holder | {"pid": nobody()}).encode())
    lease(bucket).release()


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


def nobody() -> int:
    """A process id that no process has."""
    return next(pid for pid in range(2**22 - 1, 1, -1) if not psutil.pid_exists(pid))
