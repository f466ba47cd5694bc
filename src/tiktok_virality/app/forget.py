"""Removing videos and creators from every dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from kedro.io import AbstractDataset, DataCatalog
from kedro_datasets.matplotlib import MatplotlibDataset

from tiktok_virality.addresses import creator_in_url, plain_creator
from tiktok_virality.collection.creators import creator_hash
from tiktok_virality.datasets.dataset_places import place_of
from tiktok_virality.datasets.forget_list import ForgetList, ForgetListFile
from tiktok_virality.datasets.forgetting import CREATOR_KEYS, KEY, Forgets, Forgotten
from tiktok_virality.datasets.model_folders import ModelFolder
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.pipelines.ingestion.post_ids import whole_ids
from tiktok_virality.pipelines.ingestion.posts import FileFinder
from tiktok_virality.schema import DataError
from tiktok_virality.serving.project import stored_datasets
from tiktok_virality.storage import Place

FORGET_LIST: Final = "forget_list"
POSTS: Final = "video_metadata"
VIDEOS: Final = "videos"
SPLITS: Final = "splits"
CREDENTIALS: Final = "site_access"
TABLES: Final = ("demo_clips", "posts", "manifest")
REMOVED_LAST: Final = (SPLITS, *TABLES, VIDEOS, POSTS)
"""They say which videos are meant and who learned from them, so they are rewritten last: what was
stopped half-way can be repeated."""

LEARNED_FROM: Final = ("train", "validation", "calibration")
MADE_OF_MANY: Final = ("reporting", "model output")
"""Layers whose files can be made again, so that one that names a video may go as a whole."""

Datasets = Mapping[str, AbstractDataset[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What one dataset loses.

    Attributes:
        dataset: Its name in the catalog.
        entries: How many rows, posts or files.
        whole: Whether it goes as a whole, because it shows many videos at once.
    """

    dataset: str
    entries: int
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a request to forget.

    Attributes:
        videos: Ids of the videos that are meant, in every spelling.
        removals: What each dataset loses; those that lose nothing are left out.
        models: Datasets that have learned from one of the videos, and stay.
    """

    videos: list[str]
    removals: list[Removal]
    models: list[str]

    def lines(self, *, dry_run: bool) -> Iterator[str]:
        """Yield what people read."""
        width = max(len(each.dataset) for each in self.removals)
        yield f"{'dataset':<{width}}  {'would be removed' if dry_run else 'removed'}"
        for each in self.removals:
            what = "the whole file; its pipeline makes it again" if each.whole else each.entries
            yield f"{each.dataset:<{width}}  {what}"
        if self.models:
            yield (
                "These have learned from what is forgotten and cannot unlearn it; train them anew "
                f"with `kedro run`, or remove them: {', '.join(self.models)}"
            )
        yield (
            "Not looked through: MLflow's store, which keeps a copy of each run's report, backups, "
            "and other environments (--env)."
        )


@dataclass(frozen=True, kw_only=True)
class KnownVideo:
    """A video that the corpus knows.

    Attributes:
        ids: Of its post and of its file.
        creator: As it is stored, if it is known.
    """

    ids: frozenset[str]
    creator: str | None = None

    def is_by(self, names: frozenset[str]) -> bool:
        """Tell whether one of the names is its creator's."""
        return self.creator is not None and plain_creator(self.creator) in names


def forget(
    catalog: DataCatalog, ids: Iterable[str], creators: Iterable[str], *, dry_run: bool = False
) -> Outcome:
    """Remove videos, and all videos of creators, from every dataset, and note that they are gone.

    Everything is looked through before anything is changed. The note comes before the removal, so
    that nothing is taken again if this is stopped half-way; repeating it does the rest.

    Args:
        catalog: Of the environment.
        ids: Of videos, as posts or files have them.
        creators: Names as on the site, or as they are stored.
        dry_run: Only say what would go.

    Raises:
        DataError: Nothing matches, or a dataset holds one of the videos and cannot lose it.
    """
    asked, named = frozenset(ids), frozenset(creators)
    datasets = stored_datasets(catalog)
    known_list: ForgetList = datasets[FORGET_LIST].load()
    corpus = list(known_videos(datasets))
    forms = frozenset(form for name in named for form in stored_forms(name, datasets))
    names = forms | {video.creator for video in corpus if video.creator and video.is_by(forms)}
    single = asked.union(*(video.ids for video in corpus if video.ids & asked))
    of_creators = frozenset().union(*(video.ids for video in corpus if video.is_by(forms)))
    forgotten = Forgotten.of(single | of_creators, names, known_list)
    removals = _remove_everywhere(datasets, forgotten, dry_run=True)
    if not removals:
        raise DataError(_nothing_matches(asked | named, known_list))
    outcome = Outcome(
        videos=sorted(single | of_creators),
        removals=removals,
        models=_models_that_learned(datasets, single | of_creators),
    )
    if not dry_run:
        noted = known_list.with_videos(single - of_creators).with_creators(names, of_creators)
        datasets[FORGET_LIST].save(noted)
        _remove_everywhere(datasets, forgotten, dry_run=False)
    return outcome


def stored_forms(creator: str, datasets: Datasets) -> set[str]:
    """Return how a creator may be written in the data: as given, as it is compared, hashed."""
    plain = plain_creator(creator)
    forms = {creator.strip().removeprefix("@"), plain}
    if CREDENTIALS in datasets:
        forms.add(creator_hash(plain, datasets[CREDENTIALS].load().creator_key))
    return forms


def known_videos(datasets: Datasets) -> Iterator[KnownVideo]:
    """Yield every video that the files, the posts or the tables know, some of them repeatedly."""
    files: VideoFiles = datasets[VIDEOS].load()
    yield from (KnownVideo(ids=frozenset([video_id])) for video_id in files)
    if datasets[POSTS].exists():
        finder = FileFinder(files)
        posts: pd.DataFrame = datasets[POSTS].load()
        for post in _rows(posts.assign(id=whole_ids(posts)["id"])):
            found = finder.find(post["id"], post["file"])
            yield KnownVideo(
                ids=frozenset(each for each in (post["id"], found) if each),
                creator=post["creator"] or creator_in_url(post["url"]),
            )
    for name in TABLES:
        if name in datasets and datasets[name].exists():
            for row in _rows(datasets[name].load()):
                creator = next((row[key] for key in CREATOR_KEYS if row.get(key)), None)
                yield KnownVideo(ids=frozenset([row[KEY]]), creator=creator)


def _rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    kept = [each for each in (KEY, *CREATOR_KEYS, "id", "file", "url") if each in table]
    known = table[kept].astype("object").where(table[kept].notna(), None)
    for row in known.to_dict("records"):
        yield {str(name): value for name, value in row.items()}


def _remove_everywhere(datasets: Datasets, names: Forgotten, *, dry_run: bool) -> list[Removal]:
    order = sorted(
        datasets, key=lambda each: REMOVED_LAST.index(each) if each in REMOVED_LAST else -1
    )
    removals = [_remove_from(name, datasets[name], names, dry_run=dry_run) for name in order]
    touched = [each for each in removals if each.entries]
    if all(each.whole for each in touched):
        return []  # a page holds short names by chance
    return touched + [
        Removal(dataset=name, entries=1, whole=True)
        for name in order
        if _remove_picture(datasets[name], dry_run=dry_run)
    ]


def _remove_from(
    name: str, dataset: AbstractDataset[Any, Any], names: Forgotten, *, dry_run: bool
) -> Removal:
    if isinstance(dataset, Forgets):
        return Removal(dataset=name, entries=dataset.forget(names, dry_run=dry_run))
    path = _file_of(dataset)
    if _layer(dataset) == "raw" and not isinstance(dataset, ForgetListFile) and dataset.exists():
        raise DataError(
            f"{name} holds raw data, and its kind of dataset, {type(dataset).__name__}, has no "
            "method `forget`. Nothing was changed. Give it one."
        )
    if path is None or not _names_any(path, names):
        return Removal(dataset=name, entries=0)
    if _layer(dataset) not in MADE_OF_MANY:
        raise DataError(
            f"{path} ({name} in the catalog) names one of the videos, and its kind of dataset, "
            f"{type(dataset).__name__}, cannot lose a part. Nothing was changed. Remove the file."
        )
    if not dry_run:
        path.unlink()
    return Removal(dataset=name, entries=1, whole=True)


def _remove_picture(dataset: AbstractDataset[Any, Any], *, dry_run: bool) -> bool:
    """Remove a picture: it may show a video without naming it."""
    path = _file_of(dataset)
    if path is None or not isinstance(dataset, MatplotlibDataset):
        return False
    if not dry_run:
        path.unlink()
    return True


def _file_of(dataset: AbstractDataset[Any, Any]) -> Place | None:
    """Return the one file in which a dataset is kept; ``None`` for the list itself and models."""
    if isinstance(dataset, ForgetListFile | ModelFolder):
        return None
    path = place_of(dataset)
    return path if path is not None and path.is_file() else None


def _names_any(path: Place, names: Forgotten) -> bool:
    content = path.read_bytes()
    return any(name.encode() in content for name in (*names.videos, *names.creators))


def _layer(dataset: AbstractDataset[Any, Any]) -> str | None:
    metadata = getattr(dataset, "metadata", None) or {}
    return metadata.get("kedro-viz", {}).get("layer")


def _models_that_learned(datasets: Datasets, ids: frozenset[str]) -> list[str]:
    """Return what may have learned from one of the videos: all models, unless none was for it."""
    splits = datasets[SPLITS].load() if datasets[SPLITS].exists() else None
    if splits is not None:
        split_of = splits.loc[splits[KEY].isin(list(ids)), "split"]
        if not split_of.isin(LEARNED_FROM).any():
            return []
    return [
        name
        for name, dataset in datasets.items()
        if (isinstance(dataset, ModelFolder) or _layer(dataset) == "models") and _is_there(dataset)
    ]


def _is_there(dataset: AbstractDataset[Any, Any]) -> bool:
    return any(dataset.folder.glob("*")) if isinstance(dataset, ModelFolder) else dataset.exists()


def _nothing_matches(wanted: frozenset[str], known_list: ForgetList) -> str:
    listed = sorted(name for name in wanted if name in known_list)
    earlier = f" On the forget list already: {', '.join(listed)}." if listed else ""
    return (
        f"Nothing is known of {', '.join(sorted(wanted))} in this environment, and nothing was "
        "removed. Give videos by the ids of the manifest or the metadata, creators by their names "
        "or by the creator_id of the manifest, and the environment with --env."
        f"{earlier}"
    )
