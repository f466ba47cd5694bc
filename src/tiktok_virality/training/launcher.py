"""Fits a Lightning module: device, precision, processes, and going on from the last epoch."""

from __future__ import annotations

import json
import logging
import pickle
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.memory import is_oom_error
from torch import Tensor

from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.models.configs import Precision
from tiktok_virality.models.device_memory import release
from tiktok_virality.models.precision import bfloat16_is_native
from tiktok_virality.schema import ParameterError, TrainingError, digest
from tiktok_virality.storage import ObjectPath, Place, working_folder
from tiktok_virality.tracking import log_epoch
from tiktok_virality.training.actors import ActorGroup
from tiktok_virality.training.data import Batches
from tiktok_virality.training.kept_checkpoints import (
    PuttingCheckpoints,
    fetch_files,
    fetch_unfinished,
    put_files,
    wait_for_bucket,
)
from tiktok_virality.training.module import Trainee
from tiktok_virality.training.parameters import TrainingParameters
from tiktok_virality.training.processes import ProcessGroup, count_processes, on_gpus
from tiktok_virality.training.progress import TrainingProgress
from tiktok_virality.training.ranks import Group, Rank, RankDiedError, ThisProcess

logger = logging.getLogger(__name__)

FINISHED_NAME = "finished.json"
BEST_NAME, LAST_NAME = "best.ckpt", "last.ckpt"
LOG_EVERY_SECONDS = 5.0
TALKATIVE = (
    "lightning.pytorch",
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric",
    "lightning.fabric.utilities.rank_zero",
)
"""Loggers of Lightning that give hints about loggers, workers and hardware."""

VERSION = 1
"""Of the training code: another one does not take over earlier checkpoints."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One training: what it is called, where its checkpoints are, and what decides its result.

    Attributes:
        name: Of the model.
        checkpoints: Folder of all trainings.
        fingerprint: Digest of configuration, data and seed: checkpoints of another are not used.
        seed: Of weights, dropout and the order of batches.
        device: ``auto``, ``cpu`` or ``cuda``.
        quiet: Neither print the epochs nor tell MLflow of them: one of hundreds of trainings.
    """

    name: str
    checkpoints: Place
    fingerprint: str
    seed: int
    device: str
    quiet: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        decides: Sequence[Any],
        *,
        checkpoints: Place,
        seed: int,
        device: str,
        quiet: bool = False,
    ) -> TrainingRun:
        """Name the training whose result is decided by JSON-able values and a seed."""
        return cls(
            name=name,
            # ranks elsewhere have another working directory
            checkpoints=checkpoints.absolute() if isinstance(checkpoints, Path) else checkpoints,
            fingerprint=digest([VERSION, list(decides), seed]),
            seed=seed,
            device=device,
            quiet=quiet,
        )

    @property
    def place(self) -> Place:
        """Where this training keeps its checkpoints."""
        return self.checkpoints / f"{self.name}-{self.fingerprint[:16]}"

    @property
    def folder(self) -> Path:
        """Where it writes them: the same, or of this machine where they are kept in a bucket."""
        return working_folder(self.place)


def fit(
    begin: Callable[[], Trainee],
    train: Batches,
    validation: Batches,
    parameters: TrainingParameters,
    run: TrainingRun,
    *,
    accumulation: int = 1,
) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Train, or go on training, or take what an earlier run has finished.

    A batch that does not fit into the memory of a GPU is halved and its gradients are averaged
    over twice as many; what was trained so far is kept. A training whose process died goes on from
    its last checkpoint.

    Args:
        begin: Makes the Lightning module as it is before the first step; it logs
            ``validation_loss``.
        train: Batches of the training split.
        validation: Batches of the validation split.
        parameters: How long and how fast.
        run: Names the training.
        accumulation: Batches whose gradients are averaged into one step.

    Returns:
        The weights of the epoch with the lowest validation loss, and the history of all epochs.

    Raises:
        TrainingError: Processes died more often than `TrainingParameters.restarts` allows.
        StorageError: The bucket refuses, or has not answered for too long.
    """
    history = _finished_history(run.folder)
    if isinstance(run.place, ObjectPath):
        if history is None:
            wait_for_bucket(partial(_fetch, run, run.place))
            history = _finished_history(run.folder)
        else:
            wait_for_bucket(partial(_put_if_lacking, run.place))
    if history is None:
        history = _train_as_it_fits(begin, train, validation, parameters, run, accumulation)
        write_bytes_atomically(run.folder / FINISHED_NAME, json.dumps(history).encode())
        wait_for_bucket(partial(put_files, run.place, (BEST_NAME, FINISHED_NAME)))
    best = torch.load(run.folder / BEST_NAME, map_location="cpu", weights_only=True)
    state = {name.removeprefix("model."): value for name, value in best["state_dict"].items()}
    return state, history


def _fetch(run: TrainingRun, place: ObjectPath) -> None:
    """Fetch what a training has put where it is kept, unless this machine is as far with it."""
    if (place / FINISHED_NAME).is_file():
        fetch_files(place, (BEST_NAME, FINISHED_NAME))
        return
    (run.folder / FINISHED_NAME).unlink(missing_ok=True)  # of weights that are gone
    fetch_unfinished(place, BEST_NAME, LAST_NAME)


def _put_if_lacking(place: ObjectPath) -> None:
    """Put a finished training where it is kept, if that has failed before."""
    if not (place / FINISHED_NAME).is_file():
        put_files(place, (BEST_NAME, FINISHED_NAME))


def _train_as_it_fits(
    begin: Callable[[], Trainee],
    train: Batches,
    validation: Batches,
    parameters: TrainingParameters,
    run: TrainingRun,
    accumulation: int,
) -> list[dict[str, float]]:
    """Train in batches as large as the device has memory for."""
    size = parameters.batch_size
    group = _group(parameters, run)
    while True:
        training = _Training(
            trainee=begin(),
            train=train,
            validation=validation,
            parameters=parameters,
            run=run,
            accumulation=accumulation,
        )
        try:
            return _train(training, group)
        except RuntimeError as error:
            if size <= group.count or not is_oom_error(error):
                raise
        del training
        release()  # once nothing of the failed attempt is held by its traceback
        train, validation, accumulation = train.halved(), validation.halved(), 2 * accumulation
        size = -(-size // 2)
        logger.warning(
            "%s: a batch does not fit into the memory of the GPU. From here on it has %d clips, "
            "and %d of them make a step.",
            run.name,
            size,
            accumulation,
        )


def _finished_history(folder: Path) -> list[dict[str, float]] | None:
    """Return the epochs of a training that has ended; ``None`` of one that has to go on."""
    if not is_whole(folder / BEST_NAME):
        return None
    try:
        return list(json.loads((folder / FINISHED_NAME).read_text()))
    except (FileNotFoundError, ValueError):
        return None


def resume_point(folder: Path) -> Path | None:
    """Return the checkpoint to go on from: the last, the best if the last is damaged, or none.

    Without the best there is nothing to go on to: it may have been the last to improve.
    """
    best, last = folder / BEST_NAME, folder / LAST_NAME
    if not is_whole(best):
        last.unlink(missing_ok=True)
        return None
    return last if is_whole(last) else best


def is_whole(checkpoint: Path) -> bool:
    """Tell whether a checkpoint is there as it was written: torch gives each tensor a checksum.

    One that is damaged is set aside.
    """
    if not checkpoint.exists():
        return False
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            damaged = archive.testzip()
        if damaged is None:
            # mapped: the tensors were read for their checksums already
            torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
            return True
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        damaged = "it"
    aside = checkpoint.with_name(checkpoint.name + ".damaged")
    checkpoint.replace(aside)
    logger.warning("%s is damaged; it is now %s, and not used", checkpoint, aside.name)
    return False


@dataclass(frozen=True, kw_only=True)
class _Training:
    """All that each process of a training must know.

    Attributes:
        trainee: As it is before the first step.
        train: Batches of the training split.
        validation: Batches of the validation split.
        parameters: How long and how fast.
        run: Names the training.
        accumulation: Batches whose gradients are averaged into one step.
    """

    trainee: Trainee
    train: Batches
    validation: Batches
    parameters: TrainingParameters
    run: TrainingRun
    accumulation: int

    @property
    def last(self) -> Path:
        """The checkpoint of the latest epoch."""
        return self.run.folder / LAST_NAME


def _group(parameters: TrainingParameters, run: TrainingRun) -> Group:
    """Return where a training runs: here, in processes of this machine, or on a cluster.

    Raises:
        ParameterError: On a cluster, whose machines do not share what they write.
    """
    engine = parameters.engine
    if parameters.processes != 1 and engine.type == "ray":
        if isinstance(run.place, ObjectPath):
            raise ParameterError(
                f"{run.name}: processes: {parameters.processes} trains on the Ray cluster, whose "
                f"machines must share a file system for that, and the data are in {run.place}. Say "
                "`processes: 1`."
            )
        return ActorGroup(
            wanted=parameters.processes,
            device=run.device,
            address=engine.address,
            cores=engine.workers,
            folder=run.folder,
        )
    processes = count_processes(parameters.processes, run.device)
    return ThisProcess() if processes == 1 else ProcessGroup(count=processes, device=run.device)


def _train(training: _Training, group: Group) -> list[dict[str, float]]:
    """Train, and go on with what is left of the group when some of it is lost.

    Returns:
        The history of all epochs.
    """
    log = partial(log_epoch, training.run.name)
    deaths = 0
    while True:
        start = resume_point(training.run.folder)
        try:
            return group.run(partial(_train_as, training, start), lambda epoch: log(*epoch))
        except RankDiedError as error:
            deaths += 1
            _check_may_go_on(training, deaths, error)


def _check_may_go_on(training: _Training, deaths: int, error: RankDiedError) -> None:
    """Log that the training goes on after a death.

    Raises:
        TrainingError: There were too many.
    """
    name, restarts, last = training.run.name, training.parameters.restarts, training.last
    if deaths > restarts:
        kept = f"Its last checkpoint is {last}" if last.exists() else "It has no checkpoint yet"
        raise TrainingError(
            f"{name}: {error}, after {restarts} restarts. {kept}; the next run goes on from there. "
            "A process that is killed again and again most often lacks memory: choose fewer "
            "`processes` or a smaller `batch_size`."
        ) from error
    logger.warning(
        "%s: %s. Training goes on from %s (restart %d of at most %d).",
        name,
        error,
        last if last.exists() else "its beginning",
        deaths,
        restarts,
    )


def _train_as(training: _Training, start: Path | None, rank: Rank) -> list[dict[str, float]]:
    """Train as one of the processes, from a checkpoint on or from the beginning."""
    trainee, parameters, run = training.trainee, training.parameters, training.run
    quiet = run.quiet or rank.index > 0
    history = History(run.name, run.seed, rank, quiet=quiet)
    batches = training.train.buckets
    if batches.drawn < len(batches.lengths) and not quiet:
        logger.info(
            "%s: every epoch draws %d of %d training clips, since max_steps is %d",
            run.name,
            batches.drawn,
            len(batches.lengths),
            parameters.max_steps,
        )
    if start is not None:
        done = torch.load(start, map_location="cpu", weights_only=True)["epoch"] + 1
        logger.info("%s: going on after %d epochs (%s)", run.name, done, start)
        batches.start_at(done)
    callbacks: list[Callback] = [
        history,
        ModelCheckpoint(
            run.folder,
            filename="best",
            monitor="validation_loss",
            save_last=True,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        ),
    ]
    if isinstance(run.place, ObjectPath) and rank.index == 0:
        callbacks.append(PuttingCheckpoints(run.place, BEST_NAME, LAST_NAME))
    if not quiet:
        callbacks.append(TrainingProgress(run.name, trainee.steps))
    if parameters.patience is not None:
        callbacks.append(EarlyStopping("validation_loss", patience=parameters.patience))
    with _quiet():
        accelerator, is_shared = _accelerator(run.device, rank.count), rank.count > 1
        trainer = lightning.Trainer(
            max_epochs=parameters.epochs,
            accelerator=accelerator,
            devices=[rank.gpu] if is_shared and accelerator == "gpu" else 1,
            num_nodes=rank.count,  # each rank is a machine of its own, wherever it is
            strategy=DDPStrategy() if is_shared else "auto",
            plugins=[LightningEnvironment()] if is_shared else None,  # and not Slurm's, in a job
            use_distributed_sampler=False,
            precision=lightning_precision(parameters.precision, run.device),
            gradient_clip_val=parameters.clip_norm,
            accumulate_grad_batches=training.accumulation,
            callbacks=callbacks,
            logger=False,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=run.folder,
        )
        trainer.fit(
            trainee,
            training.train.loader(rank.index, rank.count),
            training.validation.loader(rank.index, rank.count),
            ckpt_path=start,
            weights_only=True,  # no pickle, whoever wrote the file
        )
    return history.epochs


def _accelerator(device: str, processes: int) -> str:
    """Return what Lightning calls ``auto``, ``cpu`` or ``cuda``."""
    if device == "auto" and processes > 1:
        return "gpu" if on_gpus(device) else "cpu"
    return "gpu" if device == "cuda" else device


def lightning_precision(
    wanted: Precision, device: str
) -> Literal["bf16-mixed", "16-mixed", "32-true"]:
    """Return how ``auto``, ``cpu`` or ``cuda`` computes here, as Lightning calls it."""
    gpu = on_gpus(device)
    if wanted == "full" or (wanted == "auto" and not gpu):
        return "32-true"
    if bfloat16_is_native(device):
        return "bf16-mixed"
    return "16-mixed" if gpu else "32-true"


class History(Callback):
    """Keeps the losses of every epoch, in checkpoints too, and tells the driver as they come.

    ``waiting_share`` of an epoch is the share of its training time that the model waited for data.
    """

    def __init__(self, name: str, seed: int, rank: Rank, *, quiet: bool = False) -> None:
        self.name = name
        self.seed = seed
        self.rank = rank
        self.quiet = quiet
        self.epochs: list[dict[str, float]] = []
        self._started = 0.0
        self._logged = 0.0
        self._ready = 0.0
        self._waited = 0.0
        self._trained = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Seed dropout by epoch and process, so that resuming is the same as never stopping."""
        self._started = self._ready = time.monotonic()
        self._waited = 0.0
        torch.manual_seed(self.seed * 10_000 + trainer.current_epoch + self.rank.index * 2**40)

    def on_train_batch_start(self, *unused: Any) -> None:
        """Note how long the model waited for this batch."""
        self._waited += time.monotonic() - self._ready

    def on_train_batch_end(self, *unused: Any) -> None:
        """From here on the model waits for the next batch."""
        self._ready = time.monotonic()

    def on_validation_start(self, *unused: Any) -> None:
        """Count no validation as waiting."""
        self._trained = time.monotonic() - self._started

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Keep the epoch's losses, log them, and print them now and then."""
        metrics = trainer.callback_metrics
        losses = {name: float(metrics[name]) for name in ("train_loss", "validation_loss")}
        seconds = time.monotonic() - self._started
        waiting = {"waiting_share": self._waited / self._trained}
        row = {"epoch": trainer.current_epoch, **losses, "seconds": seconds, **waiting}
        self.epochs.append(row)
        if self.quiet:
            return
        self.rank.tell((trainer.current_epoch, {**losses, **waiting}))
        if time.monotonic() - self._logged >= LOG_EVERY_SECONDS:
            self._log_last_epoch()

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Print how training ended."""
        if self.quiet:
            return
        self._log_last_epoch()
        best = min(self.epochs, key=lambda row: row["validation_loss"])
        logger.info("%s: best at epoch %d of %d", self.name, best["epoch"], len(self.epochs))

    def _log_last_epoch(self) -> None:
        self._logged = time.monotonic()
        row = self.epochs[-1]
        logger.info(
            "%s, epoch %d: training loss %.4f, validation loss %.4f, %.1f s",
            self.name,
            row["epoch"],
            row["train_loss"],
            row["validation_loss"],
            row["seconds"],
        )

    def state_dict(self) -> dict[str, Any]:
        """Put the history into checkpoints."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the history from a checkpoint."""
        self.epochs = list(state_dict["epochs"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's hints about loggers, workers and hardware to itself."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)
