"""What happens around the nodes: what runs by default, and MLflow hears of everything."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kedro.config import MissingConfigException
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import MemoryDataset
from kedro.pipeline import Pipeline
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook
from pydantic import BaseModel

from tiktok_virality.configuration import data_folder
from tiktok_virality.datasets import StageStore, VideoFolder
from tiktok_virality.datasets.dataset_places import place_of
from tiktok_virality.datasets.run_lease import RunLease, take_lock
from tiktok_virality.datasets.run_lock import COLLECTING, LOCK_NAME, RunLock
from tiktok_virality.evaluation.repeats import seed_deviations
from tiktok_virality.execution import Shard
from tiktok_virality.modalities import MODALITIES, PUBLISHED
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.schema import ParameterError
from tiktok_virality.serving.project import is_parameter
from tiktok_virality.sharding import ShardPart, part_for_shards
from tiktok_virality.storage import Place, near, near_folder, trim_copies
from tiktok_virality.tracking.child_runs import child_run, flatten
from tiktok_virality.tracking.comparison_view import share_comparison
from tiktok_virality.tracking.outbox import OUTBOX, answers
from tiktok_virality.training.parameters import WHOLE

if TYPE_CHECKING:
    import pandas as pd
    from kedro.config import AbstractConfigLoader
    from kedro.framework.context import KedroContext
    from kedro.io import DataCatalog
    from kedro.pipeline.node import Node
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    from tiktok_virality.models.baselines import FittedBaseline

logger = logging.getLogger(__name__)

COLLECTION = "collection"  # the tag of its nodes
NO_FILES = ("", ":memory:")  # what SQLite calls a database in memory
EXPERIMENT_KIND = "mlflow.experimentKind"
CLASSIC_ML = "custom_model_development"
AT_A_GLANCE = {"test_skill_mean": "skill", "test_mse": "MSE"}
TITLE_SEPARATOR = " · "
OFFLINE_STORE = "sqlite:///mlflow_offline.db"
STORE_KEYS = ("mlflow_tracking_uri", "mlflow_registry_uri")
SCORER_NEEDS = ("ensemble", "novelty_model", "interval_model", "predictions")
SERVED_MODEL_CODE = Path(__file__).parent / "training" / "served_model.py"


class ParameterHooks:
    """A run with a wrong parameter stops before its first node; a missing one has its default."""

    @hook_impl(tryfirst=True)  # others read what it has checked
    def after_context_created(self, context: KedroContext) -> None:
        """Check every parameter, those of pipelines that do not run included, and complete them.

        An environment may leave a whole group to its defaults; Kedro would find no such input.

        Raises:
            ParameterError: Naming each key that is wrong.
        """
        from tiktok_virality.parameters import check_parameters

        checked = check_parameters(context.config_loader["parameters"])
        whole = checked.model_dump(mode="json", context={WHOLE: True})
        context.config_loader["parameters"] = whole


class PipelineHooks:
    """Which modalities and models take part is a parameter; the default pipelines are a global.

    So is which shard of the corpus a run does: it is left with what can be done for a part of it.
    """

    _shard: Shard | None = None
    _parts: Mapping[str, ShardPart] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Make the pipelines anew for what takes part, and the default from them."""
        from tiktok_virality.pipeline_registry import (
            DEFAULT_PIPELINES,
            READ_MODALITIES,
            pipeline_of,
        )

        parameters = context.config_loader["parameters"]
        modalities = tuple(parameters["modalities"])
        published = bool(parameters.get(PUBLISHED, {}).get("take_part"))
        for name in (name for name in READ_MODALITIES if name in pipelines):
            if modalities != tuple(MODALITIES) or published:
                pipelines[name] = pipeline_of(name, modalities, published=published)
        _replace_default(
            context.config_loader["globals"].get("default_pipeline") or DEFAULT_PIPELINES
        )
        self._shard = _shard_of(context)
        if self._shard is not None:
            self._parts = _parts_for_shards(context)
            _check_anything_to_do(self._parts, self._shard)
            for name, part in self._parts.items():
                pipelines[name] = part.pipeline

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Let the run of a shard see and make its shard alone, and say what it leaves."""
        if self._shard is None:
            return
        for name in run_params["pipeline_names"] or ["__default__"]:
            logger.info("Shard %s of %s: %s", self._shard, name, self._parts[name].describe())
        for name in pipeline.datasets():
            dataset = catalog.get(name)
            if isinstance(dataset, StageStore | VideoFolder):
                dataset.take_shard(self._shard)
            elif name in pipeline.all_outputs():
                catalog[name] = MemoryDataset(copy_mode="assign")  # others write it, or nobody


def _shard_of(context: KedroContext) -> Shard | None:
    text = context.config_loader["parameters"].get("shard")
    return None if text is None else Shard.parse(text)


def _parts_for_shards(context: KedroContext) -> dict[str, ShardPart]:
    """Return what shards can do of every pipeline that was asked for."""
    catalog = context.catalog

    def part_of(pipeline: Pipeline) -> ShardPart:
        made = pipeline.all_outputs()

        def is_stage(name: str) -> bool:
            dataset = catalog.get(name)
            is_rendered = isinstance(dataset, VideoFolder) and name in made
            return is_rendered or isinstance(dataset, StageStore)

        return part_for_shards(pipeline, is_stage, catalog.exists)

    names = list(pipelines.keys())
    return {name: part_of(pipelines[name]) for name in names}


def _check_anything_to_do(parts: Mapping[str, ShardPart], shard: Shard) -> None:
    """Let a shard run only where there is something for it.

    Raises:
        ParameterError: There is nothing.
    """
    wanted = [parts["__default__"]] if "__default__" in parts else parts.values()
    if not any(part.stages for part in wanted):
        raise ParameterError(
            f"shard={shard}: nothing of this pipeline is done for one video after the other, or "
            "it waits for something. Run it without `shard`."
        )


def _replace_default(names: Sequence[str]) -> None:
    """Make the default pipeline of others, if all pipelines were asked for.

    Raises:
        ParameterError: There is no such pipeline.
    """
    known = pipelines.keys()
    if "__default__" not in known:
        return
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ParameterError(
            f"default_pipeline in conf/*/globals.yml names {', '.join(unknown)}; there are "
            f"{', '.join(sorted(set(known) - {'__default__'}))}."
        )
    pipelines["__default__"] = sum((pipelines[name] for name in names), Pipeline([]))


class RunLockHooks:
    """A whole run has its data for itself; runs of single shards share them.

    One that only collects videos has a lock of its own: it takes days, and what is there already
    can be worked on meanwhile.
    """

    def __init__(self) -> None:
        self._lock: RunLock | RunLease | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where the data are, and whether this is a run of one shard."""
        config = context.config_loader
        self._data = data_folder(config, Path(context.project_path))
        self._shared = config["parameters"].get("shard") is not None

    @hook_impl(tryfirst=True)  # a run that may not begin is none for MLflow either
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Take the lock; one of this process is left of an earlier run that was interrupted.

        Raises:
            BusyError: Another run has it.
        """
        self._release()
        only_collects = all(COLLECTION in node.tags for node in pipeline.nodes)
        name = COLLECTING if only_collects else LOCK_NAME
        self._lock = take_lock(self._data, shared=self._shared, name=name)
        trim_copies(self._data)

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """Let others begin."""
        self._release()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """Let others begin."""
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class TrackingHooks(MlflowHook):
    """kedro-mlflow's hooks, and what they leave out.

    They log a typed parameter as one repr, and neither system metrics, data sets nor models. The
    run of a shard is not tracked: many at once would wait for one database, and the run without a
    shard that follows tells of all.
    """

    _is_off: bool = False

    _monitor: SystemMetricsMonitor | None = None
    _ui_address: str = ""
    _experiment: str = ""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Set MLflow up for the project's own store, wherever the command was started.

        kedro-mlflow leaves a relative path of a database to the working directory, and MLflow
        puts the files of a new experiment into a folder beside it.
        """
        _let_database_lie_in(context.project_path, context.config_loader)
        self._is_off = _shard_of(context) is not None
        if self._is_off:
            self._is_mlflow_enabled = False
            return
        _stay_here_if_no_server_answers(context.project_path, context.config_loader)
        with contextlib.chdir(context.project_path):
            super().after_context_created(context)
            config = vars(context)["mlflow"]
            open_on_runs(config.tracking.experiment.name)
            self._experiment = config.tracking.experiment.name
            self._context = context
            self._ui_address = f"http://{config.ui.host}:{config.ui.port}"

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Start the run, and remember the catalog, whose stage stores report on themselves."""
        import mlflow
        from mlflow.exceptions import MlflowException
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        if self._is_off:
            OUTBOX.begin(None, self._reopen)
            return
        self.run_id = None
        try:
            super().before_pipeline_run(run_params, pipeline, catalog)
        except (MlflowException, OSError) as error:
            self._is_mlflow_enabled = self.run_id is not None
            logger.warning(
                "MLflow at %s has not taken %s: %s",
                mlflow.get_tracking_uri(),
                "all that a run begins with" if self.run_id else "this run, which is not logged",
                error,
            )
        self._catalog = catalog
        self._logged_inputs: set[str] = set()
        OUTBOX.begin(mlflow.active_run() if self._is_mlflow_enabled else None, self._reopen)
        if self._is_mlflow_enabled:
            # By hand: kedro-mlflow opens the run again for every node, and MLflow's own switch
            # would start another monitor each time.
            self._monitor = SystemMetricsMonitor(self.run_id)
            self._monitor.start()

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """End the run, and say where its models stand beside each other."""
        self._stop_monitor()
        if self._is_mlflow_enabled and "leaderboard" in pipeline.all_outputs():
            OUTBOX.log("the comparison of models", self._share_comparison)
        if self._is_mlflow_enabled and set(SCORER_NEEDS) <= pipeline.all_outputs():
            OUTBOX.log("the scorer", self._register_scorer)
        self._end(
            lambda: super(TrackingHooks, self).after_pipeline_run(run_params, pipeline, catalog)
        )

    @hook_impl
    def on_pipeline_error(
        self,
        error: Exception,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: DataCatalog,
    ) -> None:
        """Mark the run as failed; what was logged stays."""
        self._stop_monitor()
        self._end(
            lambda: super(TrackingHooks, self).on_pipeline_error(
                error, run_params, pipeline, catalog
            ),
            status="FAILED",
        )

    @hook_impl
    def before_node_run(
        self, node: Node, catalog: DataCatalog, inputs: dict[str, Any], is_async: bool
    ) -> None:
        """Log the parameters of a node."""
        given = {name: value for name, value in inputs.items() if is_parameter(name)}
        if self._is_mlflow_enabled:
            OUTBOX.log(
                f"parameters of {node.name}",
                lambda: super(TrackingHooks, self).before_node_run(node, catalog, given, is_async),
            )

    def _reopen(self) -> None:
        """Make the run the active one of this thread: MLflow would begin another."""
        import mlflow

        active = mlflow.active_run()
        if self.run_id is not None and active is None:
            mlflow.start_run(run_id=self.run_id, nested=True, log_system_metrics=False)

    def _end(self, end: Callable[[], None], status: str = "FINISHED") -> None:
        """End the run by kedro-mlflow's hooks, or when the server answers again."""
        import mlflow
        from mlflow.exceptions import MlflowException

        OUTBOX.send()
        try:
            end()
        except (MlflowException, OSError):
            OUTBOX.log("its end", lambda: mlflow.end_run(status))
        OUTBOX.end()

    def _share_comparison(self) -> None:
        from mlflow.tracking import MlflowClient

        client, run_id = MlflowClient(), str(self.run_id)
        experiment_id = client.get_run(run_id).info.experiment_id
        page = share_comparison(client, experiment_id, run_id)
        is_served = client.tracking_uri.startswith("http")
        address = client.tracking_uri.rstrip("/") if is_served else self._ui_address
        start = "" if is_served else "start `kedro mlflow ui` and open "
        logger.info("The models beside each other: %s%s%s", start, address, page)

    def _register_scorer(self) -> None:
        """Give MLflow what scores clips; whatever goes wrong there, the run has its results."""
        from mlflow.exceptions import MlflowException

        from tiktok_virality.serving.bundle import write_bundle
        from tiktok_virality.serving.project import credentials_of
        from tiktok_virality.serving.registry import log_scorer, registered_name
        from tiktok_virality.serving.scorer import TrainedProject

        config = self._context.config_loader
        trained = TrainedProject(
            folder=Path(self._context.project_path),
            entries=config["catalog"],
            credentials=credentials_of(config),
            parameters=config["parameters"],
            env=self._context.env,
        )
        name = registered_name(self._experiment, self._context.env)
        with TemporaryDirectory(prefix="scorer-") as folder:
            try:
                write_bundle(trained, Path(folder) / "bundle")
                number = log_scorer(Path(folder) / "bundle", name)
            except (MlflowException, OSError) as error:
                logger.warning("The scorer was not registered in MLflow: %s", error)
                return
        logger.info(
            "Registered in MLflow: %s, version %s. `tiktok-virality promote` makes a challenger "
            "that is better the champion; docs/scoring.md says how it is served.",
            name,
            number,
        )

    def _stop_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Log what was saved, by its kind; what a world has made, under the name of the world."""
        if self._is_mlflow_enabled:
            OUTBOX.log(dataset_name, lambda: self._log_saved(dataset_name, data))

    def _log_saved(self, dataset_name: str, data: Any) -> None:
        kind = _kind(dataset_name)
        if kind == "manifest":
            self._log_table(dataset_name, data)
        elif isinstance(data, TrainedModel):
            self._log_model(data, dataset_name)
        elif kind == "baselines":
            self._log_baselines(data, dataset_name)
        elif kind == "leaderboard":
            _log_leaderboard(data, dataset_name)
        elif kind == "truth":
            _log_truth(data)
        else:
            self._log_stage(dataset_name)
        if self._layer(dataset_name) == "reporting":
            self._log_file(dataset_name)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Log the manifest as the run's data set when another run had made it."""
        if self._is_mlflow_enabled and _kind(dataset_name) == "manifest":
            OUTBOX.log(dataset_name, lambda: self._log_table(dataset_name, data))

    def _log_param(self, name: str, value: Any) -> None:
        """Log a parameter; a typed group becomes one parameter per field."""
        if not isinstance(value, BaseModel | dict):
            super()._log_param(name, value)
            return
        fields = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for key, field_value in flatten(fields, f"{name}.").items():
            super()._log_param(self.sanitize_param_name(key), field_value)

    def _log_table(self, name: str, table: pd.DataFrame) -> None:
        import mlflow
        from mlflow.data.pandas_dataset import from_pandas

        if name in self._logged_inputs:
            return
        self._logged_inputs.add(name)
        source = str(self._path_of(name))
        mlflow.log_input(from_pandas(table, source=source, name=name), context="corpus")

    def _log_stage(self, name: str) -> None:
        import mlflow

        report = getattr(self._catalog.get(name), "last_report", None)
        if report is not None:
            mlflow.log_metrics({f"stage/{name}/{k}": v for k, v in report.metrics().items()})

    def _log_model(self, model: TrainedModel, dataset_name: str) -> None:
        name = _run_name(dataset_name, model.name)
        run, folder = child_run(name), self._path_of(dataset_name)
        if run is None or folder is None:
            return
        run.log_params(model.description())
        run.log_history(model.history)
        if model.target is None or name != model.name:  # nobody serves what learned planted views
            run.log_files(near_folder(folder))
        else:
            run.log_served_model(model.name, near_folder(folder), SERVED_MODEL_CODE)
        if model.target is None:  # no leaderboard has a row of it, which would end its run
            run.finish()

    def _log_baselines(self, baselines: Mapping[str, FittedBaseline], dataset_name: str) -> None:
        folder = self._path_of(dataset_name)
        for name, baseline in baselines.items():
            run = child_run(_run_name(dataset_name, name))
            if run is not None and folder is not None:
                run.log_params(baseline.description())
                run.log_files(near(folder / f"{name}.skops"))

    def _log_file(self, name: str) -> None:
        import mlflow

        path = self._path_of(name)
        if path is not None and path.is_file():
            mlflow.log_artifact(str(near(path)), _run_name(name, "reporting"))

    def _layer(self, name: str) -> str | None:
        metadata = getattr(self._catalog.get(name), "metadata", None) or {}
        return metadata.get("kedro-viz", {}).get("layer")

    def _path_of(self, name: str) -> Place | None:
        dataset = self._catalog.get(name)
        return None if dataset is None else place_of(dataset)


def _let_database_lie_in(project: Path, config_loader: AbstractConfigLoader) -> None:
    """Make the relative path of an SQLite database in `mlflow.yml` one of the project."""
    try:
        config = config_loader["mlflow"]
    except MissingConfigException:
        return  # kedro-mlflow says so
    server = config.get("server") or {}
    uris = {key: database_in(project, uri) for key, uri in server.items() if key in STORE_KEYS}
    config_loader["mlflow"] = {**config, "server": {**server, **uris}}


def _stay_here_if_no_server_answers(project: Path, config_loader: AbstractConfigLoader) -> None:
    """Log to a file of the project while the server that `mlflow.yml` names does not answer."""
    try:
        config = config_loader["mlflow"]
    except MissingConfigException:
        return  # kedro-mlflow says so
    server = config.get("server") or {}
    uri = str(server.get("mlflow_tracking_uri") or "")
    if not uri.startswith("http") or answers(uri):
        return
    here = database_in(project, OFFLINE_STORE)
    logger.warning(
        "MLflow at %s does not answer. This run is logged in %s instead (`mlflow ui "
        "--backend-store-uri %s` shows it). To have it on the server, run the same command again "
        "when that answers: nothing is computed twice, and all is logged.",
        uri,
        here,
        here,
    )
    offline = {**server, "mlflow_tracking_uri": here, "mlflow_registry_uri": None}
    config_loader["mlflow"] = {**config, "server": offline}


def open_on_runs(experiment: str) -> None:
    """Say that an experiment is of models that are trained, unless a person has said what it is.

    MLflow's interface opens one of unknown kind on an empty overview of traces. From 3.17 on it
    does so with every experiment until its reader has chosen "Model training", which the link at
    the end of a run does.

    Args:
        experiment: Its name.
    """
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    if found is not None and "inferred" in found.tags.get(EXPERIMENT_KIND, "not inferred"):
        client.set_experiment_tag(found.experiment_id, EXPERIMENT_KIND, CLASSIC_ML)


def database_in(project: Path, uri: str | None) -> str | None:
    """Return the address of a store, an SQLite file with its full path; others as they are.

    Args:
        project: What a relative path is meant from.
        uri: Such as ``sqlite:///mlflow.db``; a full path has one slash more.
    """
    scheme, separator, path = (uri or "").partition(":///")
    if not separator or scheme.partition("+")[0] != "sqlite" or path in NO_FILES:
        return uri
    return f"{scheme}:///{(project / path).as_posix()}"


def _kind(dataset_name: str) -> str:
    """Return the name of a data set without the namespace of its world."""
    return dataset_name.rpartition(".")[2]


def _run_name(dataset_name: str, name: str) -> str:
    """Return a name under that of the world: ``additive/ensemble`` for ``additive.ensemble``."""
    world = dataset_name.rpartition(".")[0]
    return f"{world}/{name}" if world else name


def _log_truth(truth: Mapping[str, Any]) -> None:
    """Log what the ensemble reached in each world, and what share of what it could."""
    import mlflow

    for world in truth["worlds"]:
        ours = next(score for score in world["scores"] if score["role"] == "ensemble")
        found = {"ensemble_r2": ours["r2"], "share_of_reachable": ours["share"]}
        known = {key: value for key, value in found.items() if value is not None}
        mlflow.log_metrics({f"truth/{world['world']}/{key}": v for key, v in known.items()})


def _log_leaderboard(rows: list[dict[str, Any]], dataset_name: str) -> None:
    """Log every model's metrics under the same names to its nested run, and end that run.

    Runs are named after what they reached: which columns MLflow shows is kept in the browser, and
    those that it shows at first hold no metric. The ensemble's stand for the whole run.
    """
    import mlflow

    by_model = metrics_by_model(rows)
    for name, metrics in by_model.items():
        full_name = _run_name(dataset_name, name)
        run = child_run(full_name)
        if run is not None:
            run.log_metrics(metrics)
            run.rename(title_of(full_name, metrics))
            run.finish()
    whole, ours = mlflow.active_run(), by_model.get("ensemble", {})
    if whole is not None and _run_name(dataset_name, "ensemble") == "ensemble":
        mlflow.log_metrics({key: ours[key] for key in AT_A_GLANCE if key in ours})
        mlflow.set_tag("mlflow.runName", title_of(str(whole.info.run_name), ours))


def title_of(name: str, metrics: Mapping[str, float]) -> str:
    """Return the name of a run with test skill and error, such as ``ridge · skill 0.31 · MSE 2.1``.

    Args:
        name: Of the model or the run, with or without an earlier title.
        metrics: As `metrics_by_model` names them; what is missing is left out.
    """
    known = [f"{word} {metrics[key]:.2f}" for key, word in AT_A_GLANCE.items() if key in metrics]
    return TITLE_SEPARATOR.join([name.split(TITLE_SEPARATOR)[0], *known])


def metrics_by_model(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return what MLflow logs of a leaderboard, by model.

    Args:
        rows: Of the leaderboard; the main seed is the first of a model on a split.

    Returns:
        ``<split>_<metric>`` of the main seed, the ends of intervals among them, and
        ``<split>_<metric>_seed_sd``, the standard deviation over the seeds where there are several.
    """
    parts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        parts.setdefault((row["model"], row["split"]), []).append(row)
    by_model: dict[str, dict[str, float]] = {}
    for (model, split), repeats in parts.items():
        numbers = {k: v for k, v in repeats[0].items() if isinstance(v, int | float)}
        found = {key: float(value) for key, value in numbers.items() if key != "seed"}
        spread = {k: v for k, v in seed_deviations(repeats).items() if v is not None}
        metrics = by_model.setdefault(model, {})
        metrics |= {f"{split}_{key}": value for key, value in (found | spread).items()}
    return by_model
