"""Secrets of a collection: no message, no ledger and no printed object holds one."""

from __future__ import annotations

import logging
import traceback

import pytest
from pydantic import SecretStr

from tiktok_virality.collection.browser import read_browser_cookies
from tiktok_virality.collection.config import CollectionParameters, SiteAccess
from tiktok_virality.collection.download import VideoDownloader
from tiktok_virality.collection.errors import TryAgainError, VideoError
from tiktok_virality.collection.extractor import YtDlpLog, read_cookies
from tiktok_virality.collection.ledger import FoundVideo
from tiktok_virality.collection.pacing import Pacer
from tiktok_virality.datasets import SiteCredentials
from tiktok_virality.schema import ParameterError
from tiktok_virality.serving.scorer import TrainedProject

SECRET = "hunter2-planted"
FOUND = FoundVideo(
    video_id="7106594312292453675",
    topic="Sports",
    hashtag="football",
    found_at="2026-01-01T00:00:00+00:00",
)


def access_through(port: int) -> SiteAccess:
    proxy = SecretStr(f"http://somebody:{SECRET}@127.0.0.1:{port}")
    return SiteAccess(creator_key=SecretStr(f"{SECRET}-key"), proxy=proxy)


def test_credentials_print_without_secrets():
    access = access_through(9)
    trained = TrainedProject(
        folder=".", entries={}, parameters={}, credentials={"s3": {"secret": SECRET}}
    )
    dataset = SiteCredentials(filepath="key", credentials={"proxy": f"http://a:{SECRET}@b"})
    for each in (access, trained, dataset):
        assert SECRET not in f"{each} {each!r}"


@pytest.mark.parametrize(
    "credentials",
    [
        {"proxy": ["http://a:" + SECRET]},
        {"password": SECRET},
        {"cookies_file": {"path": SECRET}},
        {"creator_key": SECRET, "proxies": SECRET},
    ],
)
def test_wrong_credentials_are_named_and_not_quoted(tmp_path, credentials):
    dataset = SiteCredentials(filepath=str(tmp_path / "key"), credentials=credentials)
    with pytest.raises(Exception) as caught:
        dataset.load()
    told = "".join(traceback.format_exception(caught.value))
    assert "Wrong credentials 'collection'" in told
    assert SECRET not in told


def test_a_proxy_that_is_not_there_is_told_without_its_password(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    parameters = CollectionParameters(base_url="http://site.invalid")
    pacer = Pacer(
        parameters.politeness.model_copy(update={"max_retries": 0}), sleep=lambda seconds: None
    )
    access = access_through(port=9)
    with (
        VideoDownloader(parameters, access, tmp_path, lambda path: None, pacer) as downloader,
        pytest.raises((VideoError, TryAgainError)) as caught,
    ):
        downloader.download(FOUND)
    assert SECRET not in str(caught.value)
    assert SECRET not in caplog.text


def test_what_yt_dlp_says_is_passed_on_without_secrets(caplog):
    caplog.set_level(logging.DEBUG)
    log = YtDlpLog(access_through(9))
    log.debug(f"proxy map: http://somebody:{SECRET}@127.0.0.1:9")
    log.warning(f"cannot reach {SECRET}")
    assert "cannot reach ***" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("read", [read_cookies, read_browser_cookies])
def test_a_line_of_a_cookies_file_is_never_quoted(tmp_path, capfd, read):
    path = tmp_path / "cookies.txt"
    path.write_text(f"# Netscape HTTP Cookie File\nexample.org FALSE / FALSE 0 session {SECRET}\n")
    with pytest.raises(ParameterError, match="Netscape's format") as caught:
        read(path)
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told + "".join(capfd.readouterr())
