"""The report: verdict first, nothing from outside, nothing that text from outside can break."""

from __future__ import annotations

import contextlib
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.conftest import ROOT
from tests.reporting.conftest import SEED
from tiktok_virality.datasets.optional_json import OptionalJSON
from tiktok_virality.demo.senses import BOTH, SOUND
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.pipelines.reporting import create_pipeline, nodes, plots
from tiktok_virality.pipelines.reporting.evidence import (
    read_coverage,
    read_novelty,
    read_split_sensitivity,
)
from tiktok_virality.pipelines.reporting.pictures import film_strips
from tiktok_virality.pipelines.reporting.sample import choose_ids
from tiktok_virality.schema import DataError

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}


class Page(HTMLParser):
    """Checks that every tag is closed in order; keeps texts, attributes and scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        self.references += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> after {self.open}"
        self.open.pop()

    def handle_data(self, data):
        if not {"script", "style", "title"}.intersection(self.open) and data.strip():
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)


@pytest.fixture(scope="module")
def run_report(
    predictions,
    manifest,
    splits,
    rejected_videos,
    visual_embeddings,
    audio_embeddings,
    transcripts,
    videos,
    reconstructions,
    training_summary,
    clip_explanations,
    coverage,
    novelty_evidence,
    split_sensitivity,
    target,
    reporting,
    tmp_path_factory,
):
    """Run the whole pipeline on the project's own catalog, in a folder of its own."""

    def run(ground_truth=None, **changed) -> Path:
        folder = tmp_path_factory.mktemp("project")
        config = OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="demo")
        catalog = DataCatalog.from_config(config["catalog"], config["credentials"])
        models = {
            dataset: SimpleNamespace(name=name, **training_summary[name])
            for dataset, name in {
                "autoencoder": "autoencoder",
                "visual_model": "visual",
                "audio_model": "audio",
                "early_fusion": "early_fusion",
                "ensemble": "ensemble",
            }.items()
        }
        inputs = {
            "predictions": predictions,
            "manifest": manifest,
            "splits": splits,
            "rejected_videos": rejected_videos,
            "visual_embeddings": visual_embeddings,
            "audio_embeddings": audio_embeddings,
            "transcripts": transcripts,
            "videos": videos,
            "reconstructions": reconstructions,
            "clip_explanations": clip_explanations,
            "ground_truth": ground_truth or {},
            "coverage": coverage,
            "novelty_evidence": novelty_evidence,
            "split_sensitivity": split_sensitivity,
            "params:modeling.target": target,
            "params:reporting": reporting,
            "params:seed": SEED,
            "parameters": {
                "seed": SEED,
                "reporting": reporting,
                "visual": {"sampling": FrameSampling(every_nth=77)},
                "note": "</script><b>",
            },
            **models,
            **changed,
        }
        for name, data in inputs.items():
            catalog[name] = MemoryDataset(data, copy_mode="assign")
        with contextlib.chdir(folder):
            pipeline = create_pipeline(("visual", "audio"))
            asking = pipeline.only_nodes("reporting.explain_held_out_clips")
            SequentialRunner().run(pipeline - asking, catalog)
        return folder / "data" / "demo" / "08_reporting" / "report.html"

    return run


@pytest.fixture(scope="module")
def report(run_report, ground_truth) -> Path:
    return run_report(ground_truth)


@pytest.fixture(scope="module")
def html(report) -> str:
    return report.read_text("utf-8")


def test_the_report_is_well_formed_and_its_ids_are_unique(html):
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    inside = [reference[1:] for reference in page.references if reference.startswith("#")]
    assert set(inside) <= set(page.ids)


def test_the_verdict_comes_first(html, verdict):
    page = Page(html)
    assert page.texts[1] == verdict["headline"]
    assert '<h1 id="verdict">The ensemble is better than' in html
    for sentence in (verdict["sentence"], verdict["test_sentence"], verdict["seed_sentence"]):
        assert " ".join(sentence.split()) in page.text


def test_no_table_of_the_page_holds_models_of_two_regimes(html):
    tables = re.findall(r"<table class=\"wide\">.*?</table>", html, re.DOTALL)
    regimes = [set(re.findall(r"<td>(content|creator|planted)</td>", table)) for table in tables]
    assert {"content"} in regimes and {"creator"} in regimes
    assert all(len(found) <= 1 for found in regimes)
    for table, found in zip(tables, regimes, strict=True):
        assert ("history of the creator" in table) == (found == {"creator"})


def test_no_panel_of_the_plot_holds_models_of_two_regimes(leaderboard, verdict, target):
    figure = nodes.plot_leaderboard(leaderboard, verdict, target)
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert [bar.yaxis for bar in bars] == ["y", "y2"]
    assert list(bars[1].y) == ["history of the creator"]
    assert "history of the creator" not in bars[0].y
    dots = [trace for trace in figure.data if trace.type == "scatter"]
    ensemble = [x for x, y in zip(dots[0].x, dots[0].y, strict=True) if y == "ensemble"]
    assert len(ensemble) == 3 and len(dots[1].x) == 0


def test_the_coverage_is_shown_beside_what_was_promised(html, coverage):
    text = Page(html).text
    assert (
        "hold the truth for 80% of all clips: by split conformal, calibrated on the 16 clips"
        in text
    )
    assert "all clips conformalised quantile regression 90% 83% 73% to 91% 40 2.70" in text
    assert "all clips split conformal 90% 90% 80% to 98%" in text
    figure = nodes.plot_coverage(coverage)
    assert sorted(line.x0 for line in figure.layout.shapes) == [0.5, 0.8, 0.9]
    filled = [trace for trace in figure.data if trace.marker.symbol == "circle"]
    assert [trace.x[0] for trace in filled] == [0.5, 0.8, 0.9]


def test_the_first_seed_stands_in_where_there_is_no_mean(coverage):
    alone = coverage | {"rows": [row for row in coverage["rows"] if row["seed"] == SEED]}
    rows = read_coverage(alone).one_per_part()
    assert len(rows) == 36
    assert rows[0].coverage == pytest.approx(0.48)
    assert read_coverage(coverage).one_per_part()[0].coverage == pytest.approx(0.5)


def test_the_evidence_for_the_flag_is_in_numbers(html):
    text = Page(html).text
    assert "Of 40 ordinary test clips, 7.5% were flagged, where 5.0% may be" in text
    assert "is 2.50 on the 3 flagged test clips and 0.90 on the other 37" in text
    assert "turned 40 35% 20% to 50% 0.81" in text


def test_too_few_calibration_clips_for_a_flag_are_named(run_report, novelty_evidence):
    few = novelty_evidence | {"can_flag": False}
    assert (
        "With so few of them no clip can be flagged"
        in Page(run_report(novelty_evidence=few).read_text("utf-8")).text
    )


def test_scores_by_split_are_means_over_redrawings_and_part_the_regimes(html, split_sensitivity):
    text = Page(html).text
    assert "ridge, everything random 3 24 0.54 ± 0.04" in text
    assert "ridge, everything by creator 3 24 0.34" in text
    figure = nodes.plot_split_sensitivity(split_sensitivity)
    panels = {}
    for trace in figure.data:
        panels.setdefault(trace.yaxis, set()).add(trace.name)
    assert panels == {
        "y": {"ridge, everything", "small neural network"},
        "y2": {"history of the creator"},
    }


def test_what_was_not_measured_has_no_section(run_report):
    page = Page(
        run_report(coverage=None, novelty_evidence=None, split_sensitivity=None).read_text("utf-8")
    )
    assert not {"certainty", "unlike", "splits"}.intersection(page.ids)
    assert {"comparisons", "classes"} <= set(page.ids)


@pytest.mark.parametrize(
    ("read", "name", "raw"),
    [
        (read_coverage, "coverage.method", {"method": "magic"}),
        (read_coverage, "coverage", "half a fi"),
        (
            read_novelty,
            "novelty_evidence.can_flag",
            {"alpha": 0.05, "calibration_clips": 9},
        ),
        (read_split_sensitivity, "split_sensitivity.0.strategy", [{"strategy": "by luck"}]),
    ],
)
def test_broken_evidence_says_where_and_what_to_do(read, name, raw):
    with pytest.raises(DataError, match=name) as raised:
        read(raw)
    assert "kedro run --pipeline modeling" in str(raised.value)


def test_a_target_of_classes_is_called_so_and_drawn_without_counts(run_report, predictions):
    scores = predictions.copy()
    for column in ("y_true", "y_pred", "lower", "upper"):
        scores[column] = np.clip(scores[column] / 4, 0, 3)
    quartile = TargetParameters(kind="quartile")
    text = Page(
        run_report(predictions=scores, **{"params:modeling.target": quartile}).read_text("utf-8")
    ).text
    assert "mean squared error of quartile classes" in text
    assert "K views" not in text and "log views" not in text


def test_the_first_screen_answers_before_any_table(html):
    first = html[html.index("<h1") : html.index("</header>")]
    assert first.index('data-plot="overview"') < first.index("<dt>What?</dt>")
    assert "<table" not in first
    text = " ".join(re.sub(r"<script.*?</script>|<[^>]+>", " ", first, flags=re.S).split())
    assert text.startswith("The ensemble is better than the best baseline (ridge, everything)")
    assert "tested on 40 clips by 10 creators" in text
    assert re.search("Of two clips it tells which is watched more in 9.% of cases", text)
    assert re.search("Most from .* which alone find .*; all together 9.%", text)
    assert re.search("better than the baseline: p (<|0.0)", text)
    assert "80% of the time (counted: 80%)" in text


def test_sections_come_in_the_order_of_use(html):
    ids = Page(html).ids
    wanted = ["judged", "predictions", "certainty", "leaderboard", "done", "reading", "settings"]
    assert [name for name in ids if name in wanted] == wanted


def test_the_overview_shows_the_ensemble_its_parts_and_the_best_baseline(leaderboard, verdict):
    rows = [row for row in leaderboard if row["split"] == "test" and row["seed"] == SEED]
    figure = plots.overview_plot(rows, verdict["model"], verdict["baseline"])
    assert figure.data[0].y[-1] == "all together"
    assert set(figure.data[0].y) == {
        *("all together", "visual alone", "audio alone", "ridge, everything")
    }


def test_with_few_creators_the_reason_stands_there_and_no_interval(run_report, manifest, splits):
    few = manifest.assign(creator_id=[f"one of {split}" for split in splits["split"]])
    text = Page(run_report(manifest=few).read_text()).text
    assert "Too few creators to say whether the ensemble is better" in text
    assert text.count("of fewer than 10 they are too wide") == 1
    assert "% interval: " not in text


def test_nothing_is_fetched_from_anywhere(html):
    page = Page(html)
    assert page.references
    allowed = ("data:image/", "#", "clips.html#clip-")
    assert all(reference.startswith(allowed) for reference in page.references)
    assert "link" not in page.tags
    assert "default-src 'none'" in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style


def test_words_from_clips_and_files_stay_words(html):
    page = Page(html)
    assert "<script>alert('&')</script> said the cat" in page.text
    assert "<script>alert" not in html
    assert "<b>id" not in html
    assert "<b>id.mp4: moov atom not found" in page.text
    assert "</script><b>" not in html


def test_a_synthetic_corpus_says_so_and_what_was_reachable(html):
    text = Page(html).text
    assert "This corpus is synthetic. All 120 clips were rendered by a program" in text
    assert "reachable" in text


def test_real_videos_have_no_such_notice(run_report):
    assert "synthetic" not in Page(run_report().read_text("utf-8")).text.lower()


def test_every_parameter_is_listed_by_its_full_key(html):
    text = Page(html).text
    assert "visual.sampling.every_nth 77" in text
    assert "reporting.sign_flips 2000" in text


def test_what_was_lost_is_counted_by_reason(html):
    text = Page(html).text
    assert "3 videos could not be used" in text
    assert "12 \N{MULTIPLICATION SIGN} no audio track" in text
    assert "1 \N{MULTIPLICATION SIGN} unreadable" in text


def test_the_figures_are_saved_beside_the_report(report):
    assert {path.name for path in report.parent.iterdir()} == {
        *("leaderboard.json", "comparisons.json", "verdict.json"),
        *("corpus_summary.json", "training_summary.json"),
        *("leaderboard_plot.json", "comparisons_plot.json", "actual_vs_predicted_plot.json"),
        *("ensemble_loss_plot.json", "autoencoder_loss_plot.json", "coverage_plot.json"),
        *("novelty_plot.json", "split_sensitivity_plot.json"),
        *("reconstructions.png", "clip_sample.png", "report.html", "clips.html"),
    }


def test_every_held_out_clip_is_listed_and_leads_to_what_moved_its_answer(
    html, report, predictions, clip_explanations
):
    page = Page(html)
    test = predictions[predictions["split"] == "test"]["video_id"].unique()
    assert all(video_id in page.text for video_id in test)
    beside = Page((report.parent / "clips.html").read_text("utf-8"))
    anchors = {f"clip-{video_id}" for video_id in clip_explanations}
    assert anchors <= set(beside.ids)
    leading = {each.partition("#")[2] for each in page.references if each.startswith("clips.")}
    assert leading == anchors
    assert {f"#{anchor}" for anchor in anchors} & set(beside.references)
    assert "report.html" in beside.references


def test_the_page_of_clips_says_what_each_part_does_with_its_picture(report, clip_explanations):
    html = (report.parent / "clips.html").read_text("utf-8")
    page = Page(html)
    assert page.open == [] and "<script" not in html
    assert page.text.count("\N{MULTIPLICATION SIGN}2.46") == len(clip_explanations)
    assert page.text.index("audio") < page.text.index("visual")
    assert [html.count(each) for each in ("base64,Zmlyc3Q=", "base64,c2Vjb25k")] == [2, 2]
    assert "in no page" in page.text and "in%20no%20page" not in html


@pytest.fixture
def sampled(predictions, verdict, manifest, transcripts, videos, target, reporting):
    """Sample clips with a seed."""
    arguments = (predictions, verdict, manifest, transcripts, videos, target, reporting)
    return lambda seed=SEED: nodes.sample_held_out_clips(*arguments, seed)


def test_sampled_clips_are_of_the_test_split_with_truth_and_predictions(
    sampled, predictions, manifest
):
    clips = sampled()
    assert len(clips) == 3
    main = predictions[predictions["seed"] == SEED].set_index(["model", "video_id"])
    for clip in clips:
        row = main.loc[("ensemble", clip.video_id)]
        assert row["split"] == "test"
        views = manifest.set_index("video_id").loc[clip.video_id, "views"]
        assert clip.actual == pytest.approx(views)
        assert set(clip.predicted) == {"ensemble", "ridge"}
        assert clip.predicted["ensemble"] == pytest.approx(np.expm1(row["y_pred"]))
        assert clip.likely == pytest.approx((np.expm1(row["lower"]), np.expm1(row["upper"])))
        assert clip.thumbnail.shape == (3, 256, 144)
    assert [clip.actual for clip in clips] == sorted(clip.actual for clip in clips)
    assert [clip.video_id for clip in clips] == [clip.video_id for clip in sampled()]


def test_another_seed_samples_other_clips(predictions):
    test = predictions[predictions["split"] == "test"]
    assert choose_ids(test, 3, 1) != choose_ids(test, 3, 2)
    assert len(set(choose_ids(test, 99, 1))) == 40


def test_a_clip_that_cannot_be_decoded_is_shown_without_a_picture(sampled, videos, target):
    next(iter(videos.values())).path.write_text("no video")
    clips = sampled()
    assert [clip.thumbnail for clip in clips] == [None] * 3
    assert nodes.draw_clip_sample(clips, target).axes


def test_film_strips_leave_out_the_padding_and_measure_the_error(reconstructions):
    long, short = film_strips(reconstructions)
    assert long.original.shape == (32, 6 * 19 - 1, 3)
    assert short.original.shape == (32, 18, 3)
    first = reconstructions["original"][1, 0].astype(float)
    assert short.error == pytest.approx(np.sqrt(np.mean((2 * first - 255) ** 2)))


def test_a_perfect_model_of_a_planted_corpus_is_measured_on_the_test_clips(
    manifest, rejected_videos, splits, visual_embeddings, ground_truth
):
    tables, known = (manifest, rejected_videos, splits), {"visual": visual_embeddings}
    summary = nodes.summarise_corpus(*tables, ground_truth, **known)
    reachable = summary["synthetic"]["reachable_r2"]
    assert reachable[BOTH] == {"expected": 1.0, "on_test": pytest.approx(1.0)}
    assert reachable[SOUND]["on_test"] <= 0
    assert nodes.summarise_corpus(*tables, None, **known)["synthetic"] is None


def test_ground_truth_of_other_videos_says_nothing_about_these(
    manifest, rejected_videos, splits, visual_embeddings, ground_truth
):
    renamed = {"clips": {f"other {key}": value for key, value in ground_truth["clips"].items()}}
    summary = nodes.summarise_corpus(
        manifest, rejected_videos, splits, ground_truth | renamed, visual=visual_embeddings
    )
    assert summary["synthetic"] is None


def test_a_json_file_that_is_not_there_is_none(tmp_path):
    dataset = OptionalJSON(filepath=str(tmp_path / "truth.json"))
    assert dataset.load() is None
    dataset.save({"world": "mixed"})
    assert dataset.load() == {"world": "mixed"}
