from __future__ import annotations

import pytest

from tiktok_virality.models.voice_activity import SpeechSpan
from tiktok_virality.models.whisper_decoding import Segment
from tiktok_virality.models.whisper_transcript import Transcript

SAID = Segment(1.0, 5.0, "Stretch your arms.")
THEN = Segment(5.0, 7.0, "Keep your back straight.")


@pytest.fixture
def transcript() -> Transcript:
    return Transcript(speech=[SpeechSpan(1.0, 7.6)])


@pytest.mark.parametrize(
    ("again", "kept"),
    [
        (Segment(7.0, 7.6, SAID.text), False),  # squeezed in behind the last word
        (Segment(7.0, 7.6, "Jump higher."), True),
        (Segment(7.0, 10.0, SAID.text), True),  # somebody says it twice
    ],
)
def test_what_was_said_before_is_not_said_again_in_no_time(transcript, again, kept):
    if again.end_seconds > 7.6:
        transcript.speech = [SpeechSpan(1.0, 10.0)]
    transcript.add([SAID, THEN, again])
    assert transcript.segments == [SAID, THEN, *[again] * kept]


def test_a_text_where_nobody_speaks_is_not_added(transcript):
    transcript.add([SAID, Segment(9.0, 11.0, "Thanks for watching.")])
    assert transcript.segments == [SAID]
