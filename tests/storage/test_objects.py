"""Places in a bucket: paths as far as they are needed, in requests as few as they can be."""

from __future__ import annotations

import errno
import os
import pickle
import sys
import traceback

import pytest

from tests.buckets import KEY, SECRET
from tiktok_virality.execution.absence import is_away
from tiktok_virality.schema import ConfigurationError, StorageError
from tiktok_virality.storage import (
    bring_near,
    listed,
    near,
    near_folder,
    place_at,
    trim_copies,
)
from tiktok_virality.storage.access import open_bucket


def test_a_path_on_a_disk_stays_a_path(tmp_path):
    place = place_at(str(tmp_path / "file"))
    assert type(place) is type(tmp_path)
    assert near(place) is place


def test_an_object_is_there_as_it_was_put(bucket):
    clip = bucket.place / "01_raw" / "odd name é #?*%2F~.mp4"
    assert not clip.exists()
    clip.write_bytes(b"a clip")
    assert clip.read_bytes() == b"a clip"
    assert clip.is_file() and not clip.is_dir() and clip.parent.is_dir()
    assert [each.name for each in listed(clip.parent, "*.mp4")] == [clip.name]
    assert clip.suffix == ".mp4"
    assert str(clip.relative_to(bucket.place)) == "01_raw/odd name é #?*%2F~.mp4"
    clip.unlink()
    assert not clip.exists() and not clip.parent.exists()


def test_what_never_changes_is_fetched_once(bucket, tmp_path):
    parts = [bucket.place / f"part-{number}.arrow" for number in range(20)]
    for number, part in enumerate(parts):
        part.write_bytes(b"%d" % number)
    bring_near(parts)
    for part in parts:
        bucket.remove(part)  # by somebody else
    assert [near(part, fixed=True).read_bytes() for part in parts] == [
        b"%d" % number for number in range(20)
    ]


def test_what_changes_is_fetched_again(bucket):
    place = bucket.place / "clip.mp4"
    place.write_bytes(b"before")
    assert near(place).read_bytes() == b"before"
    place.write_bytes(b"after")
    copy = near(place)
    assert (copy.name, copy.read_bytes()) == ("clip.mp4", b"after")


def test_copies_that_were_not_used_for_longest_go_first(bucket):
    tight = place_at(bucket.address, bucket.credentials | {"gigabytes": 25e-9})
    copies = []
    for number in range(3):
        (bucket.place / f"{number}").write_bytes(b"ten bytes.")
        copies.append(near(bucket.place / f"{number}"))
    for age, copy in enumerate(copies):
        os.utime(copy, times=(1_000_000_000 - 1000 * age,) * 2)
    assert trim_copies(tight) == 10
    assert [copy.exists() for copy in copies] == [True, True, False]


def test_room_is_made_while_copies_come_too_for_on_machines_of_workers_no_run_begins(bucket):
    tight = place_at(bucket.address, bucket.credentials | {"gigabytes": 25e-9})
    for number in range(5):
        (tight / f"{number}").write_bytes(b"ten bytes.")
        assert near(tight / f"{number}").read_bytes() == b"ten bytes."
    left = [each for each in bucket.cache.rglob("*") if each.is_file()]
    assert sum(each.stat().st_size for each in left) <= 25


def test_a_folder_that_was_trimmed_is_fetched_again(bucket):
    for name in ("model.json", "weights.bin"):
        (bucket.place / "model" / name).write_bytes(name.encode())
    (near_folder(bucket.place / "model") / "model.json").unlink()
    again = near_folder(bucket.place / "model")
    assert sorted(each.name for each in again.iterdir()) == ["model.json", "weights.bin"]


def test_without_the_package_the_error_says_what_to_install(bucket, monkeypatch):
    for name in ("obstore", "obstore.store", "obstore.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    open_bucket.cache_clear()
    with pytest.raises(ConfigurationError, match="extra `s3`"):
        (bucket.place / "clip.mp4").is_file()


def test_a_folder_comes_as_a_whole_and_anew_when_it_has_changed(bucket):
    for name in ("model.json", "weights.bin"):
        (bucket.place / "model" / name).write_bytes(name.encode())
    first = near_folder(bucket.place / "model")
    assert sorted(each.name for each in first.iterdir()) == ["model.json", "weights.bin"]
    (bucket.place / "model" / "weights.bin").write_bytes(b"others")
    assert (near_folder(bucket.place / "model") / "weights.bin").read_bytes() == b"others"


def test_only_one_of_two_creates_and_only_who_knows_the_tag_exchanges(bucket):
    place = bucket.place / "lock"
    tag = place.create(b"mine")
    with pytest.raises(FileExistsError):
        place.create(b"yours")
    newer = place.exchange(b"mine again", tag)
    with pytest.raises(FileExistsError):
        place.exchange(b"yours", tag)
    assert place.read_bytes() == b"mine again"
    assert newer == place.stat().e_tag


def test_a_missing_bucket_is_named(bucket):
    place = place_at("s3://no-such-bucket/corpus", bucket.credentials)
    with pytest.raises(StorageError, match=r"no bucket 'no-such-bucket' at http://127.0.0.1") as e:
        (place / "index.parquet").exists()
    assert "\n" not in str(e.value)
    with pytest.raises(StorageError, match="no bucket"):
        (place / "part").write_bytes(b"1")


def test_a_server_that_is_away_is_waited_for(bucket):
    place = place_at(bucket.address, bucket.credentials | {"endpoint": "http://127.0.0.1:9"})
    with pytest.raises(OSError, match=r"http://127.0.0.1:9 does not answer") as caught:
        place.write_bytes(b"1")
    assert caught.value.errno == errno.EHOSTUNREACH
    assert is_away(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_one_object_that_is_gone_is_waited_for_by_nobody(bucket):
    with pytest.raises(FileNotFoundError) as caught:
        (bucket.place / "gone.mp4").read_bytes()
    assert not is_away(caught.value)


def test_secrets_are_in_no_text_and_reach_workers(bucket):
    place = bucket.place / "clip"
    texts = [repr(place), str(place), repr(place.access), f"{place.access}", repr([place])]
    assert not any(SECRET in text or KEY in text for text in texts)
    place.write_bytes(b"1")
    assert pickle.loads(pickle.dumps(place)).read_bytes() == b"1"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"secret": None}, "have no secret"),
        ({"colour": SECRET}, "colour: Extra inputs are not permitted"),
        ({"gigabytes": SECRET}, "gigabytes: Input should be a valid number"),
        ({"endpoint": SECRET}, "endpoint: Value error, must be an address"),
        ({"endpoint": f"http://a:{SECRET}@127.0.0.1"}, "must not hold a name or a password"),
    ],
)
def test_wrong_credentials_are_named_and_not_shown(bucket, given, said):
    with pytest.raises(ConfigurationError) as caught:
        place_at(bucket.address, bucket.credentials | given)
    assert said in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_the_environment_gives_no_credentials(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    place = place_at(bucket.address, bucket.credentials)
    place.write_bytes(b"1")
    assert place.read_bytes() == b"1"
