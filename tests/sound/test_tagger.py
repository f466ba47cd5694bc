"""A pretrained tagger beside what is measured: an ONNX file that this test exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.sound.sounds import noise, sine, sound_item
from tiktok_virality.execution import Done, Failed
from tiktok_virality.models.sound_configs import SoundParameters, TaggerParameters
from tiktok_virality.models.sound_tagger import SoundTagger, find_tagger
from tiktok_virality.schema import WeightsError
from tiktok_virality.stages.sound import SoundReader

pytest.importorskip("onnxruntime", reason="the extra `tagger` is not installed")
pytest.importorskip("onnx", reason="torch exports ONNX with it")

WINDOW = 16_000


class SmallTagger(torch.nn.Module):
    """Gives the scores of three classes every tenth of a second, and one level of the window."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = torch.nn.Conv1d(1, 3, 400, stride=1600)

    def forward(self, wave):  # [1, samples]
        scores = self.filters(wave[:, None]).abs()  # [1, 3, frames]
        return scores.transpose(1, 2), wave.abs().mean(dim=1, keepdim=True)


def export(path: Path, seed: int, samples: int = WINDOW) -> Path:
    torch.manual_seed(seed)
    torch.onnx.export(
        SmallTagger().eval(),
        (torch.zeros(1, samples),),
        path,
        dynamo=False,
        input_names=["wave"],
        output_names=["scores", "loudness"],
    )
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return export(tmp_path_factory.mktemp("taggers") / "small.onnx", seed=1)


def reader_of(parameters: TaggerParameters | None) -> SoundReader:
    tagger = find_tagger(parameters) if parameters else None
    reader = SoundReader(SoundParameters(tagger=parameters), tagger)
    reader.setup()
    return reader


def test_what_it_says_stands_behind_what_is_measured(path):
    clip = sound_item("clip", noise(3))
    (plain,) = reader_of(None)([clip])
    (tagged,) = reader_of(TaggerParameters(path=path))([clip])
    size = plain.columns["tokens"].shape[1]
    assert tagged.columns["tokens"].shape == (6, size + 3)
    np.testing.assert_array_equal(tagged.columns["tokens"][:, :size], plain.columns["tokens"])
    torch.manual_seed(1)
    heard = noise(3)[4000:20_000]  # one second around the middle of the second half second
    expected = SmallTagger()(torch.tensor(heard)[None])[0].mean(dim=1)[0].detach()
    np.testing.assert_allclose(tagged.columns["tokens"][1, size:], expected, rtol=2e-3, atol=1e-4)


def test_an_output_is_taken_by_name(path):
    parameters = TaggerParameters(path=path, output="loudness")
    said = SoundTagger(parameters, find_tagger(parameters)).listen(sine(440, 2), 0.5, 4)
    assert said.shape == (4, 1)
    np.testing.assert_allclose(said[1:3, 0], 0.3 * 2 / np.pi, rtol=1e-3)
    assert said[0, 0] < said[1, 0]  # a quarter of its window lies before the clip


def test_sound_is_resampled_to_the_rate_of_its_training(tmp_path):
    path = export(tmp_path / "half.onnx", seed=1, samples=8000)
    parameters = TaggerParameters(path=path, output="loudness", sample_rate_hz=8000)
    said = SoundTagger(parameters, find_tagger(parameters)).listen(sine(440, 2), 0.5, 4)
    np.testing.assert_allclose(said[1:3, 0], 0.3 * 2 / np.pi, rtol=5e-3)


def test_other_weights_are_another_result_and_another_place_is_not(path, tmp_path):
    usual = reader_of(TaggerParameters(path=path)).identity()
    moved = tmp_path / "moved.onnx"
    moved.write_bytes(path.read_bytes())
    other = export(tmp_path / "other.onnx", seed=2)
    assert reader_of(TaggerParameters(path=moved)).identity() == usual
    assert reader_of(TaggerParameters(path=other)).identity() != usual
    assert reader_of(TaggerParameters(path=path, output="loudness")).identity() != usual
    assert reader_of(None).identity() != usual


def test_a_file_that_is_no_tagger_is_named(path, tmp_path):
    with pytest.raises(WeightsError, match=r"sound\.tagger\.path says .*absent\.onnx"):
        find_tagger(TaggerParameters(path=tmp_path / "absent.onnx"))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"broken\.onnx, and that is no ONNX network"):
        find_tagger(TaggerParameters(path=broken))
    with pytest.raises(WeightsError, match=r"'embedding'.*has scores, loudness"):
        find_tagger(TaggerParameters(path=path, output="embedding"))


def test_a_network_that_sees_pictures_is_no_tagger(tmp_path):
    path = tmp_path / "pictures.onnx"
    torch.onnx.export(torch.nn.ReLU(), (torch.zeros(1, 3, 8, 8),), path, dynamo=False)
    with pytest.raises(WeightsError, match="a tagger takes waveforms"):
        find_tagger(TaggerParameters(path=path))


def test_a_window_that_the_network_was_not_made_for_is_an_error_of_all_clips(path):
    parameters = TaggerParameters(path=path, window_seconds=0.5)
    with pytest.raises(WeightsError, match=r"window_seconds=0\.5"):
        find_tagger(parameters)


def test_a_tagger_that_says_what_is_no_number_fails_the_clip(tmp_path):
    class Diverging(torch.nn.Module):
        def forward(self, wave):
            return wave.sum(dim=1, keepdim=True) / 0

    path = tmp_path / "diverging.onnx"
    torch.onnx.export(Diverging(), (torch.zeros(1, WINDOW),), path, dynamo=False)
    (outcome,) = reader_of(TaggerParameters(path=path))([sound_item("clip", noise(1))])
    assert isinstance(outcome, Failed)
    assert outcome.reason == "untaggable sound"


def test_a_clip_alone_and_in_a_batch_is_tagged_alike(path):
    reader = reader_of(TaggerParameters(path=path))
    items = [sound_item("a", noise(2)), sound_item("b", sine(220, 3)), sound_item("c", noise(0.1))]
    for together, item in zip(reader(items), items, strict=True):
        (alone,) = reader([item])
        assert isinstance(together, Done)
        np.testing.assert_array_equal(together.columns["tokens"], alone.columns["tokens"])
