"""What the commands ask of those who call them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from tiktok_virality.app.commands import main
from tiktok_virality.serving import scorer
from tiktok_virality.serving.scorer import TrainedProject


class AskedError(Exception):
    """Carries what a scorer was asked."""


@pytest.fixture
def asked(monkeypatch):
    """Return the captions of the drafts that a command asks about."""

    class Asked:
        def __init__(self, trained) -> None:
            pass

        def score(self, drafts, *, explain):
            raise AskedError([(draft.name, draft.caption) for draft in drafts])

    monkeypatch.setattr(scorer, "Scorer", Asked)
    monkeypatch.setattr(TrainedProject, "at", lambda folder, env: None)

    def ask(*arguments: str):
        result = CliRunner().invoke(main, arguments)
        assert isinstance(result.exception, AskedError), result.output
        return result.exception.args[0]

    return ask


@pytest.mark.parametrize(
    ("captions", "under"),
    [
        ([], [None, None]),
        (["--caption", "a cat"], ["a cat", "a cat"]),
        (["--caption", "a cat", "--caption", "a dog"], ["a cat", "a dog"]),
        (["--caption", "a cat", "--caption", ""], ["a cat", None]),
    ],
)
def test_a_caption_is_for_all_clips_or_there_is_one_for_each(asked, captions, under):
    for command in ("score", "compare"):
        told = asked(command, "one.mp4", "two.mp4", *captions)
        assert told == list(zip(("one", "two"), under, strict=True))


def test_captions_that_belong_to_nobody_are_refused_before_anything_is_loaded():
    three = ["--caption", "a", "--caption", "b"]
    result = CliRunner().invoke(main, ["score", "one.mp4", "two.mp4", "three.mp4", *three])
    assert result.exit_code == 2
    assert "2 captions for 3 clips: give --caption once for all of them" in result.output
