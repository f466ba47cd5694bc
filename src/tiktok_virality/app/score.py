"""Scoring clips from the command line: the scoring pipeline, in a folder of its own."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pandas as pd
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from tiktok_virality.app.project import catalog_of, is_parameter, open_config
from tiktok_virality.datasets.video_folder import VIDEO_SUFFIXES
from tiktok_virality.parameters import check_parameters
from tiktok_virality.schema import DataError, ProjectError

IN_THE_DRIVER: Final = {"type": "local", "workers": 0}
"""For a few clips: processes would take longer to start than the work takes."""

FEW: Final = 8
"""Up to so many clips are read in the driver."""

UNPOSTED: Final = ("unposted_videos", "unposted_posts")


def score(
    project: Path, files: Sequence[Path], caption: str | None, env: str | None
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Score clips with the models of an environment; nothing is logged or kept.

    Args:
        project: Its folder.
        files: The clips.
        caption: What is to be written under them.
        env: Whose models; ``None`` for those of `data`.

    Returns:
        The `scores`, ``video_id`` being the name of the file; the clips that could not be scored,
        with reasons; and of what corpus the models speak: ``clips``, ``creators``, ``synthetic``,
        and ``skill``, the share of the error of always saying the median that they do away with
        on clips that they had not seen, with ``skill_low`` and ``skill_high`` (``None`` where
        nobody measured it).

    Raises:
        DataError: There is no such file, it is no video by its name, or no clip can be scored.
        ProjectError: No model was trained here.
    """
    from tiktok_virality.pipelines.scoring import create_pipeline

    names = _names(files)
    loader = open_config(project, env)
    parameters = check_parameters(loader["parameters"])
    pipeline = create_pipeline(parameters.modalities)
    with TemporaryDirectory(prefix="score-") as folder:
        _lay_out(names, Path(folder), caption)
        few = len(files) <= FEW
        catalog = catalog_of(_redirected(loader["catalog"], Path(folder), few), loader)
        corpus = _corpus(catalog, pipeline, env)
        for name in filter(is_parameter, pipeline.inputs()):
            value = attrgetter(name.removeprefix("params:"))(parameters)
            catalog[name] = MemoryDataset(value, copy_mode="assign")
        SequentialRunner().run(pipeline, catalog)
        return catalog.load("scores"), catalog.load("unscored"), corpus


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what stages and pipelines say of their progress out of a command's answer."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def _names(files: Sequence[Path]) -> dict[str, Path]:
    """Return the files by the names that answers give them.

    Raises:
        DataError: A file is not there, or not one of a video.
    """
    for path in files:
        if not path.is_file():
            raise DataError(f"There is no file {path}.")
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise DataError(
                f"{path} is no video by its name: it must end in {', '.join(VIDEO_SUFFIXES)}."
            )
    short = [path.stem for path in files]
    twice = len(set(short)) < len(short)
    return {
        f"{number} {path.stem}" if twice else path.stem: path
        for number, path in enumerate(files, start=1)
    }


def _lay_out(names: Mapping[str, Path], folder: Path, caption: str | None) -> None:
    """Put links to the clips, and what is written under them, where the pipeline looks."""
    target = folder / "unposted"
    target.mkdir(parents=True)
    for name, path in names.items():
        link = target / f"{name}{path.suffix}"
        try:
            link.symlink_to(path.resolve())
        except OSError:  # a system without links
            shutil.copyfile(path, link)
    if caption:
        posts = [
            {"file": f"{name}{path.suffix}", "caption": caption} for name, path in names.items()
        ]
        (target / "metadata.json").write_text(json.dumps(posts), encoding="utf-8")


def _redirected(catalog: Mapping[str, Any], folder: Path, few: bool) -> dict[str, Any]:
    """Return a catalog whose entries of scoring lie in a folder of their own."""
    redirected = dict(catalog)
    for name, entry in catalog.items():
        if name in UNPOSTED:
            redirected[name] = {**entry, "filepath": str(folder / "unposted")}
        elif name.startswith("scoring.") and "filepath" in entry:
            place = str(folder / "stages" / Path(entry["filepath"]).name)
            redirected[name] = {
                **entry,
                "filepath": place,
                **({"engine": IN_THE_DRIVER} if few and "engine" in entry else {}),
            }
    memory = {"type": "kedro.io.MemoryDataset", "copy_mode": "assign"}
    return {**redirected, "scores": memory, "unscored": memory}


def _corpus(catalog: DataCatalog, pipeline: Pipeline, env: str | None) -> dict[str, Any]:
    """Return what corpus the models come from.

    Raises:
        ProjectError: A model is missing.
    """
    inputs = [n for n in pipeline.inputs() if not is_parameter(n) and n not in UNPOSTED]
    missing = sorted(name for name in inputs if not catalog.exists(name))
    if missing:
        option = f" --env {env}" if env else ""
        raise ProjectError(
            f"No trained model{f' in the environment {env!r}' if env else ''}: "
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there. Train on your "
            f"own videos first (`kedro run{option}`, see the README), or on the synthetic corpus "
            "(`make run`), and ask for that with --env demo."
        )
    manifest = catalog.load("manifest")
    verdict = catalog.load("verdict") if catalog.exists("verdict") else None
    truth = catalog.load("ground_truth")
    return {
        "clips": len(manifest),
        "creators": int(manifest["creator_id"].nunique()),
        "synthetic": truth is not None,
        **{
            name: verdict["versus_constant"][name] if verdict else None
            for name in ("skill", "skill_low", "skill_high")
        },
    }
