"""Scores clips outside of a run: the scoring pipeline, in a folder that is gone afterwards."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Final
from unicodedata import normalize
from urllib.parse import quote

import numpy as np
import pandas as pd
from kedro.io import DataCatalog, MemoryDataset
from kedro.io.core import VALIDATOR_KEY
from kedro.pipeline import Pipeline
from kedro.runner import ThreadRunner

from tiktok_virality.configuration import of_a_disk
from tiktok_virality.datasets.video_folder import VIDEO_SUFFIXES
from tiktok_virality.evaluation.targets import Target
from tiktok_virality.parameters import check_parameters
from tiktok_virality.pipelines.reporting.wording import count
from tiktok_virality.pipelines.scoring import EXPLAINING, create_pipeline
from tiktok_virality.schema import DataError, ProjectError
from tiktok_virality.serving.project import credentials_of, is_parameter, open_config

FEW: Final = 32
"""Up to so many clips are read by this process and the one beside it, which have loaded all that it
takes. Processes of each stage's own load it again: on two cores they never make up for that, on
sixteen by about this many clips."""

LANDSCAPE_STEPS: Final = 30
LONGEST_FILE_NAME: Final = 200

UNPOSTED: Final = ("unposted_videos", "unposted_posts")
ANSWERS: Final = ("scores", "unscored", "explanations")


class _Kept(MemoryDataset):
    """What one pipeline has made and another will read."""

    def _release(self) -> None:
        """Keep it: it goes with the catalog."""


IN_MEMORY: Final = "kedro.io.MemoryDataset"
KEPT: Final = {"type": f"{__name__}.{_Kept.__name__}", "copy_mode": "assign"}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A clip that is to be scored.

    Attributes:
        path: Its file.
        caption: What is to be written under it, if it is known.
        title: What answers call it; ``None``: the name of its file.
    """

    path: Path
    caption: str | None = None
    title: str | None = None

    @property
    def name(self) -> str:
        """What answers call it."""
        return self.path.stem if self.title is None else self.title


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said of some clips.

    Attributes:
        scores: Of `score_clips`; ``video_id`` is the name of the file.
        unscored: Clips that could not be scored, with the reason.
        explanations: Of `explain_clips`, by the same name; nothing where nobody asked.
    """

    scores: pd.DataFrame
    unscored: pd.DataFrame
    explanations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrainedProject:
    """What scoring needs of a project, or of what was packaged of one.

    Attributes:
        folder: From which paths of the entries are meant.
        entries: Of the catalog.
        credentials: Of the catalog.
        parameters: As they are written.
        env: Where it came from; ``None`` for the usual one.
        corpus: Of `describe_corpus`; ``None``: the catalog tells.
    """

    folder: Path
    entries: Mapping[str, Any]
    parameters: Mapping[str, Any]
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    env: str | None = None
    corpus: Mapping[str, Any] | None = None

    @classmethod
    def at(cls, folder: Path, env: str | None) -> TrainedProject:
        """Read a project.

        Args:
            folder: Of the project.
            env: Such as ``demo``; ``None`` is the usual one.

        Raises:
            ConfigurationError: There is no such environment.
        """
        config = open_config(folder, env)
        return cls(
            folder=folder,
            entries=config["catalog"],
            parameters=config["parameters"],
            credentials=credentials_of(config),
            env=env,
        )

    def catalog(self, entries: Mapping[str, Any] | None = None) -> DataCatalog:
        """Return the catalog, or one of other entries; use it in `folder`.

        Tables are not checked again: they were when training wrote them.
        """
        chosen = {
            name: {key: value for key, value in entry.items() if key != VALIDATOR_KEY}
            for name, entry in (self.entries if entries is None else entries).items()
        }
        return DataCatalog.from_config(chosen, dict(self.credentials))


class Scorer:
    """Scores clips with the models of a project, which it loads once.

    Nothing is logged, and nothing is left on the disk. May be used from several threads, which wait
    for each other.

    Args:
        trained: Whose models.

    Raises:
        ProjectError: No model was trained there.
    """

    def __init__(self, trained: TrainedProject) -> None:
        self._trained = trained
        parameters = check_parameters(dict(trained.parameters))
        both = create_pipeline(parameters.modalities)
        self._explaining = both.only_nodes_with_tags(EXPLAINING)
        self._scoring = both - self._explaining
        self._lock = Lock()
        with chdir(trained.folder):
            catalog = trained.catalog()
            check_trained(catalog, both, trained.env)
            self.corpus = dict(trained.corpus or describe_corpus(catalog))
            self._known = {name: catalog.load(name) for name in learned_inputs(both)}
        for name in filter(is_parameter, both.inputs()):
            self._known[name] = attrgetter(name.removeprefix("params:"))(parameters)

    def score(self, drafts: Sequence[Draft], *, explain: bool = False) -> Answer:
        """Score clips.

        Args:
            drafts: At least one.
            explain: Say also what moves each answer.

        Raises:
            DataError: There is no such file, it is no video by its name, or no clip can be scored.
        """
        *_, last = self.answers(drafts, explain=explain)
        return last

    def answers(self, drafts: Sequence[Draft], *, explain: bool = False) -> Iterator[Answer]:
        """Score clips, and say so before what moves each answer is found out.

        Others wait until the last answer was taken.

        Args:
            drafts: At least one.
            explain: Yield a second answer, with explanations.

        Raises:
            DataError: There is no such file, it is no video by its name, or no clip can be scored.
        """
        names = _names(drafts)
        place = TemporaryDirectory(prefix="score-")
        with self._lock, place as folder, chdir(self._trained.folder):
            _lay_out(names, Path(folder))
            entries = _redirected(self._trained.entries, Path(folder), few=len(drafts) <= FEW)
            passed_on = self._explaining.inputs() & self._scoring.all_outputs()
            stored = {
                name: KEPT if name in passed_on and entry["type"] == IN_MEMORY else entry
                for name, entry in entries.items()
                if name not in self._known
            }
            catalog = self._trained.catalog(stored)
            for name, value in self._known.items():
                catalog[name] = MemoryDataset(value, copy_mode="assign")
            for name in passed_on:
                if catalog.get(name) is None:
                    catalog[name] = _Kept(copy_mode="assign")
            _run(self._scoring, catalog)
            answer = Answer(scores=catalog.load("scores"), unscored=catalog.load("unscored"))
            yield answer
            if explain:
                _run(self._explaining, catalog)
                yield replace(answer, explanations=catalog.load("explanations"))

    def landscape(self) -> dict[str, Any]:
        """Return where the clips of the corpus lie, to show an answer among them.

        Returns:
            ``name`` of what is predicted; ``low`` and ``high``, ends of the scale of the target;
            ``counts`` of clips in equal steps between them; and ``ticks``, each ``at`` a place with
            a ``label``: views where the target has views.
        """
        target = Target(parameters=self._known["params:modeling.target"])
        corpus = self._known["manifest"]
        truth = target.truth(corpus, np.ones(len(corpus), dtype=bool))
        counts, edges = np.histogram(truth[~np.isnan(truth)], bins=LANDSCAPE_STEPS)
        low, high = float(edges[0]), float(edges[-1])
        if target.has_views:
            ticks = [(float(np.log1p(10.0**k)), count(10.0**k)) for k in range(12)]
        else:
            ticks = [(at, f"{at:g}") for at in np.linspace(low, high, 4).round(1).tolist()]
        return {
            "name": target.name,
            "low": low,
            "high": high,
            "counts": counts.tolist(),
            "ticks": [{"at": at, "label": text} for at, text in ticks if low <= at <= high],
        }


def _run(pipeline: Pipeline, catalog: DataCatalog) -> None:
    """Run nodes as soon as they can: while some wait for the process beside, others work here."""
    ThreadRunner(max_workers=len(pipeline.nodes)).run(pipeline, catalog)


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what stages and pipelines say of their progress out of a command's answer."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def describe_corpus(catalog: DataCatalog) -> dict[str, Any]:
    """Return of what corpus the models speak.

    Returns:
        ``clips``, ``creators``, ``synthetic``, and ``skill``, the share of the error of always
        saying the median that the ensemble does away with on clips that it had not seen, with
        ``skill_low`` and ``skill_high`` (``None`` where nobody measured it).
    """
    manifest = catalog.load("manifest")
    verdict = catalog.load("verdict") if catalog.exists("verdict") else None
    return {
        "clips": len(manifest),
        "creators": int(manifest["creator_id"].nunique()),
        "synthetic": catalog.load("ground_truth") is not None,
        **{
            name: verdict["versus_constant"][name] if verdict else None
            for name in ("skill", "skill_low", "skill_high")
        },
    }


def _names(drafts: Sequence[Draft]) -> dict[str, Draft]:
    """Return the clips by the names that answers give them.

    Raises:
        DataError: A file is not there, or not one of a video.
    """
    for draft in drafts:
        if not draft.path.is_file():
            raise DataError(f"There is no file {draft.path}.")
        if draft.path.suffix.lower() not in VIDEO_SUFFIXES:
            raise DataError(
                f"{draft.path} is no video by its name: it must end in {', '.join(VIDEO_SUFFIXES)}."
            )
    short = [_shortened(normalize("NFC", draft.name)) for draft in drafts]
    often = max(Counter(short).values())
    return {
        f"{number} {name}" if often > 1 else name: draft
        for number, (name, draft) in enumerate(zip(short, drafts, strict=True), start=1)
    }


def _shortened(name: str) -> str:
    """Return a name that a file can have."""
    while len(_file_name(name)) > LONGEST_FILE_NAME:
        name = name[:-1]
    return name


def _file_name(name: str) -> str:
    """Return a name without what hides a file or means a folder; `video_id_of` gives it back."""
    return quote(name, safe=" ").replace(".", "%2E").replace("~", "%7E")


def _lay_out(names: Mapping[str, Draft], folder: Path) -> None:
    """Put links to the clips, and what is written under them, where the pipeline looks."""
    target = folder / "unposted"
    target.mkdir(parents=True)
    posts = []
    for name, draft in names.items():
        link = target / f"{_file_name(name)}{draft.path.suffix}"
        try:
            link.symlink_to(draft.path.resolve())
        except OSError:  # a system without links
            shutil.copyfile(draft.path, link)
        if draft.caption:
            posts.append({"file": link.name, "caption": draft.caption})
    if posts:
        (target / "metadata.json").write_text(json.dumps(posts), encoding="utf-8")


def _redirected(catalog: Mapping[str, Any], folder: Path, *, few: bool) -> dict[str, Any]:
    """Return a catalog whose entries of scoring lie in a folder of their own."""
    redirected = dict(catalog)
    for name, entry in catalog.items():
        if name in UNPOSTED:
            redirected[name] = {**of_a_disk(entry), "filepath": str(folder / "unposted")}
        elif name.startswith("scoring.") and "filepath" in entry:
            place = str(folder / "stages" / Path(entry["filepath"]).name)
            redirected[name] = {
                **of_a_disk(entry),
                "filepath": place,
                **({"engine": {"type": "resident"}} if few and "engine" in entry else {}),
            }
    memory = {"type": IN_MEMORY, "copy_mode": "assign"}
    return {**redirected, **dict.fromkeys(ANSWERS, memory)}


def learned_inputs(pipeline: Pipeline) -> list[str]:
    """Return what scoring reads that training has left."""
    return [n for n in pipeline.inputs() if not is_parameter(n) and n not in UNPOSTED]


def check_trained(catalog: DataCatalog, pipeline: Pipeline, env: str | None) -> None:
    """See that there are models.

    Raises:
        ProjectError: One is missing.
    """
    missing = sorted(name for name in learned_inputs(pipeline) if not catalog.exists(name))
    if missing:
        option = f" --env {env}" if env else ""
        raise ProjectError(
            f"No trained model{f' in the environment {env!r}' if env else ''}: "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there. Train on your "
            f"own videos first (`kedro run{option}`, see the README), or on the synthetic corpus "
            "(`make run`), and ask for that with --env demo."
        )
