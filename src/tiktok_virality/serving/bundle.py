"""The scorer as a folder that can go elsewhere: models, settings, and what it says of its corpus.

A bundle holds plain files, as training wrote them, and no pickle: ``catalog.json``,
``parameters.json``, ``corpus.json``, ``test_predictions.parquet`` (what the ensemble said of clips
that it had not seen, for the next model to be compared with), and ``learned``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any, Final

import pandas as pd
from kedro.io import DataCatalog

from tiktok_virality.configuration import STORAGE, of_a_disk
from tiktok_virality.parameters import check_parameters
from tiktok_virality.pipelines.reporting.comparisons import CHALLENGER
from tiktok_virality.pipelines.scoring import create_pipeline
from tiktok_virality.schema import ParameterError, ProjectError
from tiktok_virality.serving.scorer import (
    UNPOSTED,
    Scorer,
    TrainedProject,
    check_trained,
    describe_corpus,
    learned_inputs,
)
from tiktok_virality.storage import Place, near, near_folder, place_at

CATALOG: Final = "catalog.json"
PARAMETERS: Final = "parameters.json"
CORPUS: Final = "corpus.json"
PREDICTIONS: Final = "test_predictions.parquet"
MANIFEST: Final = "manifest"
WRITTEN_BY_PEOPLE: Final = ("url", "caption", "hashtags")
"""Columns of the manifest that stay at home: `forget` does not reach a bundle."""

LEARNED: Final = "learned"
OWN_TYPES: Final = "tiktok_virality.datasets."
PLAIN_TYPES: Final = frozenset({"json.JSONDataset", "pandas.CSVDataset", "kedro.io.MemoryDataset"})
"""Datasets that a bundle may name beside our own: none of them loads a pickle."""


def write_bundle(trained: TrainedProject, folder: Path) -> None:
    """Pack the scorer of a project.

    Args:
        trained: The project.
        folder: Is made.

    Raises:
        ProjectError: No model was trained there.
    """
    parameters = check_parameters(dict(trained.parameters))
    pipeline = create_pipeline(parameters.modalities)
    (folder / LEARNED).mkdir(parents=True)
    with chdir(trained.folder):
        catalog = trained.catalog()
        check_trained(catalog, pipeline, trained.env)
        entries = {
            name: of_a_disk(entry)
            for name, entry in trained.entries.items()
            if name.startswith("scoring.") or name in UNPOSTED
        }
        for name in learned_inputs(pipeline):
            entry = catalog.config_resolver.resolve_pattern(name)
            source = place_at(entry["filepath"], trained.credentials.get(STORAGE))
            place = str(Path(LEARNED) / f"{name}{source.suffix}")
            entries[name] = {**of_a_disk(entry), "filepath": place}
            if name != MANIFEST:
                _copy(source, folder / entries[name]["filepath"])
        _impersonal_manifest(catalog).to_parquet(folder / entries[MANIFEST]["filepath"])
        corpus = describe_corpus(catalog)
        _test_predictions(catalog).to_parquet(folder / PREDICTIONS, index=False)
    _write(folder / CATALOG, entries)
    _write(folder / PARAMETERS, parameters.model_dump(mode="json"))
    _write(folder / CORPUS, corpus)


def open_bundle(folder: Path) -> Scorer:
    """Return the scorer of a bundle.

    Raises:
        ProjectError: The bundle names a dataset that could run a program, or a file that is not
            its own; or it was packed by another version, or holds no model.
    """
    entries = _read(folder / CATALOG)
    _check_entries(entries, folder.resolve())
    packed = TrainedProject(
        folder=folder,
        entries=entries,
        parameters=_read(folder / PARAMETERS),
        corpus=_read(folder / CORPUS),
    )
    try:
        return Scorer(packed)
    except ParameterError as error:
        raise ProjectError(
            f"{folder} was packed by another version of this project. Have `kedro run` register "
            f"it anew where it was trained, or use that version. {error}"
        ) from None


def read_test_predictions(folder: Path) -> pd.DataFrame:
    """Return ``video_id``, ``creator_id``, ``y_true`` and ``y_pred`` of a bundle's tested clips."""
    return pd.read_parquet(folder / PREDICTIONS)


def _check_entries(entries: Mapping[str, Any], folder: Path) -> None:
    """See that a catalog names what `write_bundle` writes, and nothing else.

    Raises:
        ProjectError: It does.
    """
    for name, entry in entries.items():
        kind = str(entry["type"])
        if not kind.startswith(OWN_TYPES) and kind not in PLAIN_TYPES:
            raise ProjectError(
                f"{folder / CATALOG}: {name} is of type {kind}, which no scorer is packed as. Pack "
                "it anew from a project that you trust."
            )
        place = str(entry.get("filepath", ""))
        if place.startswith(f"{LEARNED}/") and not (folder / place).resolve().is_relative_to(
            folder
        ):
            raise ProjectError(
                f"{folder / CATALOG}: {name} lies outside of the bundle, in {place}."
            )


def _copy(source: Place, place: Path) -> None:
    """Copy what a dataset holds."""
    if source.is_dir():
        shutil.copytree(near_folder(source), place)
    else:
        shutil.copyfile(near(source), place)


def _impersonal_manifest(catalog: DataCatalog) -> pd.DataFrame:
    """Return the manifest without what people wrote; a scorer compares with the counts alone."""
    manifest: pd.DataFrame = catalog.load(MANIFEST)
    return manifest.assign(**dict.fromkeys(WRITTEN_BY_PEOPLE, ""))


def _test_predictions(catalog: DataCatalog) -> pd.DataFrame:
    """Return what the ensemble says of clips that have taught it nothing, with their creators."""
    predictions = catalog.load("predictions")
    mine = predictions[(predictions["model"] == CHALLENGER) & (predictions["split"] == "test")]
    main = mine[mine["seed"] == mine["seed"].iloc[0]] if len(mine) else mine
    creators = catalog.load("manifest")[["video_id", "creator_id"]]
    joined = main[["video_id", "y_true", "y_pred"]].merge(creators, on="video_id")
    return joined.assign(creator_id=joined["creator_id"].fillna(joined["video_id"]))


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
