"""What a changed parameter makes anew. `first_run` is changed by it, so it comes last."""

from __future__ import annotations

from tests.session.conftest import CLIPS, override

MADE_OF_SMALL_FRAMES = ("frames", "visual_embeddings")
MADE_OF_ANYTHING_ELSE = (
    *("video_probes", "waveforms", "fingerprints", "screen_words"),
    *("image_embeddings", "motion_embeddings", "audio_embeddings", "sound_embeddings"),
)


def test_a_changed_shrink_computes_small_frames_and_what_follows_from_them_alone(first_run):
    override(first_run.project.path, visual={"sampling": {"shrink": 48}})
    wanted = ",".join((*MADE_OF_SMALL_FRAMES, *MADE_OF_ANYTHING_ELSE, "manifest"))
    stages = first_run.project.run("--env", "demo", "--to-outputs", wanted)
    assert {stages[name].computed for name in MADE_OF_SMALL_FRAMES} == {CLIPS}
    assert {stages[name].computed for name in MADE_OF_ANYTHING_ELSE} == {0}
