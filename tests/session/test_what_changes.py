"""What a changed parameter makes anew. `first_run` is changed by it, so it comes last."""

from __future__ import annotations

from tests.session.conftest import CLIPS, override


def test_a_changed_shrink_computes_frames_and_what_follows_and_no_audio(first_run):
    override(first_run.project.path, visual={"sampling": {"shrink": 48}})
    stages = first_run.project.run("--env", "demo", "--to-outputs", "visual_embeddings,transcripts")
    assert stages["frames"].computed == stages["visual_embeddings"].computed == CLIPS
    assert stages["waveforms"].computed == stages["audio_embeddings"].computed == 0
    assert stages["video_probes"].computed == 0
