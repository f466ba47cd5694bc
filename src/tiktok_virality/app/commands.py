"""What the `tiktok-virality` command can do."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tiktok_virality.execution.resident import start_beside
from tiktok_virality.modalities import LOADED_BESIDE
from tiktok_virality.schema import ProjectError

if TYPE_CHECKING:
    from kedro.io import DataCatalog

    from tiktok_virality.serving.scorer import Answer


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Score clips, and work on a corpus outside of a run; `kedro run` is for the pipelines."""


@contextlib.contextmanager
def _project() -> Iterator[Path]:
    """Find the project; a `ProjectError` ends the command."""
    from tiktok_virality.serving.project import project_folder

    try:
        # what libraries say of pipelines and models when they are imported is no matter here
        with warnings.catch_warnings(record=True):
            yield project_folder(Path.cwd())
    except ProjectError as error:
        raise click.ClickException(str(error)) from error


@contextlib.contextmanager
def _catalog_of(env: str | None) -> Iterator[DataCatalog]:
    """Open the catalog in the project's folder."""
    from tiktok_virality.serving.project import open_catalog

    with _project() as project, contextlib.chdir(project):
        yield open_catalog(project, env)


@contextlib.contextmanager
def _alone(env: str | None) -> Iterator[None]:
    """Keep runs off the data for a while; one that has them ends the command."""
    from tiktok_virality.configuration import data_folder
    from tiktok_virality.datasets.run_lease import take_lock
    from tiktok_virality.datasets.run_lock import COLLECTING, LOCK_NAME
    from tiktok_virality.serving.project import open_config

    project = Path.cwd()
    data = data_folder(open_config(project, env), project)
    with contextlib.ExitStack() as held:
        for name in (LOCK_NAME, COLLECTING):
            held.enter_context(take_lock(data, shared=False, name=name))
        yield


_captions = click.option(
    "--caption",
    "captions",
    multiple=True,
    help="What will be written under the clips: once for all, or once for each, in their order.",
)


@main.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path))
@_captions
@click.option("--env", default=None, help="The Kedro environment whose models answer.")
@click.option("--explain", is_flag=True, help="Say also what in each clip moves the answer.")
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON.")
def score(
    clips: tuple[Path, ...],
    captions: tuple[str, ...],
    env: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Say where clips would likely land that are not posted yet.

    Needs models: `kedro run` on your own videos, or `make run` and then --env demo. Ends with 1 if
    a clip could not be scored.
    """
    from tiktok_virality.app import answers

    answer, corpus = _scored(clips, captions, env, explain=explain)
    click.echo(answers.as_json(answer, corpus) if as_json else answers.tell(answer, corpus))
    if len(answer.unscored):  # the pipeline has said which and why
        raise SystemExit(1)


@main.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@_captions
@click.option("--env", default=None, help="The Kedro environment whose models answer.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def compare(
    first: Path, second: Path, captions: tuple[str, ...], env: str | None, as_json: bool
) -> None:
    """Say which of two clips is likelier to be watched more, and how sure that is."""
    from tiktok_virality.app import answers

    answer, corpus = _scored((first, second), captions, env)
    if len(answer.unscored):
        raise click.ClickException("; ".join(answers.complaints(answer.unscored)))
    compared = answers.compare(answer.scores)
    click.echo(
        answers.as_json(answer, corpus, compared)
        if as_json
        else answers.tell_comparison(compared, answer, corpus)
    )


@main.command()
@click.option("--env", default=None, help="The Kedro environment whose models answer.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file whose first line visitors must know; needed where others reach the page.",
)
@click.option("--max-megabytes", default=200, show_default=True, type=click.IntRange(1))
def page(
    env: str | None, host: str, port: int, password_file: Path | None, max_megabytes: int
) -> None:
    """Open a page on which clips are scored, compared and explained."""
    start_beside(LOADED_BESIDE)
    from tiktok_virality.app.page.serving import open_page
    from tiktok_virality.serving.scorer import Scorer, TrainedProject, quietly

    password = None if password_file is None else password_file.read_text().split("\n")[0].strip()
    click.echo("Loading the models ...", err=True)
    with _project() as project, quietly():
        scorer = Scorer(TrainedProject.at(project, env))
        open_page(scorer, host, port, password, max_megabytes, said=click.echo)


@main.command()
@click.option("--env", default=None, help="The Kedro environment whose scorer is meant.")
@click.option("--force", is_flag=True, help="Whatever the test says.")
def promote(env: str | None, force: bool) -> None:
    """Make the challenger the champion if it is better on clips that neither had seen."""
    from tiktok_virality.app.promote import promote_challenger

    with _project() as project:
        is_promoted, said = promote_challenger(project, env, force=force)
    click.echo(said)
    if not is_promoted:
        raise SystemExit(1)


def _scored(
    clips: tuple[Path, ...], captions: tuple[str, ...], env: str | None, *, explain: bool = False
) -> tuple[Answer, dict[str, Any]]:
    if len(captions) not in (0, 1, len(clips)):
        raise click.UsageError(
            f"{len(captions)} captions for {len(clips)} clips: give --caption once for all of "
            "them, or once for each, in their order."
        )
    start_beside(LOADED_BESIDE)  # first, for what follows takes its time, too
    from tiktok_virality.serving.scorer import Draft, Scorer, TrainedProject, quietly

    under = captions if len(captions) == len(clips) else (captions or (None,)) * len(clips)
    drafts = [
        Draft(path=path.absolute(), caption=caption or None)
        for path, caption in zip(clips, under, strict=True)
    ]
    click.echo(f"Reading {len(drafts)} {'clip' if len(drafts) == 1 else 'clips'} ...", err=True)
    with _project() as project, quietly():
        scorer = Scorer(TrainedProject.at(project, env))
        return scorer.score(drafts, explain=explain), scorer.corpus


@main.command()
@click.option("--stage", default=None, metavar="DATASET", help="One stage; all where not given.")
@click.option("--env", default=None, help="The Kedro environment whose data are meant.")
def retry(stage: str | None, env: str | None) -> None:
    """Have the next run try again the clips that failed."""
    from tiktok_virality.app.retry import retry as retry_stages

    with _catalog_of(env) as catalog:
        asked = retry_stages(catalog, stage)
    for name, clips in asked.items():
        click.echo(f"{name}: {clips}")
    total = sum(asked.values())
    click.echo(
        f"{total} failures will be tried again by the next `kedro run`."
        if total
        else "No clip has failed."
    )


@main.command()
@click.option("--video", "videos", multiple=True, metavar="ID", help="A video; repeatable.")
@click.option(
    "--creator",
    "creators",
    multiple=True,
    metavar="NAME",
    help="All videos of a creator, by name or as the manifest has it; repeatable.",
)
@click.option("--env", default=None, help="The Kedro environment whose data are meant.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def forget(
    videos: tuple[str, ...], creators: tuple[str, ...], env: str | None, dry_run: bool
) -> None:
    """Remove videos or creators from every dataset, and never take them again."""
    if not videos and not creators:
        raise click.UsageError("Give at least one --video or --creator.")
    from tiktok_virality.app.forget import forget as forget_everywhere

    with _catalog_of(env) as catalog, _alone(env) if not dry_run else contextlib.nullcontext():
        outcome = forget_everywhere(catalog, videos, creators, dry_run=dry_run)
    for line in outcome.lines(dry_run=dry_run):
        click.echo(line)
