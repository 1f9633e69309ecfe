"""One sweep: checks first, one Ray Tune run over all categories, and what is left at its end."""

from __future__ import annotations

import dataclasses
import hashlib
import time
import uuid
from collections.abc import Callable, Mapping

from ray import tune

from kdzoo.errors import KdzooError, SweepError
from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.plan_file import DataDigests, PlanFile
from kdzoo.search.record.view import SweepView
from kdzoo.search.run.conclusion import CategoryConclusions
from kdzoo.search.run.disk import check_room, checkpoint_demand, gigabytes
from kdzoo.search.run.monitor import SweepMonitor
from kdzoo.search.run.publisher import Publisher, publish_once, reference
from kdzoo.search.run.resume import settled, take_over
from kdzoo.search.run.scheduler import CategoryScheduler
from kdzoo.search.run.searcher import CategorySearcher
from kdzoo.search.run.stage_sharing import kept_stages
from kdzoo.search.run.stop_file import StopFile
from kdzoo.search.study.strategy import COSTS
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers.checkpoints import Checkpoints, trial_name
from kdzoo.search.workers.cluster import check_address, cluster, nodes
from kdzoo.search.workers.finish import Finished, FinishingLine
from kdzoo.search.workers.node_data import check_nodes, place_of
from kdzoo.search.workers.node_watch import NodeWatch
from kdzoo.search.workers.places import Places
from kdzoo.search.workers.reasons import reason, stopped
from kdzoo.search.workers.resources import with_resources
from kdzoo.search.workers.sent_teacher import SentTeacher
from kdzoo.search.workers.trainable import TrialTrainable, WorkerContext
from kdzoo.teacher_zoo import obtain_teacher
from kdzoo.teachers.backbone import Teacher
from kdzoo.tracking import CategoryEnd, SweepStatus, SweepTracker
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import check_objective
from kdzoo.training.stage_results import StageResults
from kdzoo.zoo import Published, open_registry
from zoo_registry import EntryName, Registry

_WORKER_FAILURES = 3
_CHECKPOINT_EVERY = 5
_HASTY_SECONDS = 1.0

Prepared = Callable[[str, int, int], None]


def run_sweep(
    plan: SweepPlan,
    view: SweepView,
    *,
    zoo: str | None = None,
    prepared: Prepared | None = None,
    announce: Callable[[str], None] | None = None,
    resume: bool = False,
) -> SweepBoard:
    """Runs a sweep to its end.

    Whatever can be wrong is found before the first trial: the cluster, the zoo's rights, the sweep's folder, the
    teacher's weights, every category's split, every image that may be looked at, the room for checkpoints.

    Ctrl-C once ends the training; what is finished by then is measured and published. Ctrl-C twice ends at once.

    However a driver ended, the sweep can be resumed: no trial that ended runs again, one that was under way goes on
    from its last checkpoint (from the start where it had none) as a new trial, and what is published is not published
    again.

    Args:
        plan: what to do.
        view: who watches.
        zoo: where to publish; default the settings' own.
        prepared: told ``(category, done, total)`` as categories are made ready.
        announce: told, before the first trial, how much disk the checkpoints may take.
        resume: go on with the sweep of that name; only its number of trials may have grown.

    Returns:
        The board at the end, with an outcome for every category.

    Raises:
        KdzooError: the sweep cannot start, or Ray or the disk gave up on the way; what was finished is published.
        RegistryError: the zoo cannot be published to.
        KeyboardInterrupt: a second Ctrl-C, or one before the first trial.
    """
    check_address(plan.settings.ray_address)
    folder = SweepFolder(plan.folder)
    before = PlanFile.read(folder.plan, plan.settings) if resume else None
    if before is None:
        _check_new(folder)
    registry = open_registry(plan.settings, zoo, warn=view.note)
    registry.probe()
    with folder.driven():
        loaded = obtain_teacher(plan.options.teacher, plan.settings, zoo=zoo, note=view.note)
        data = _prepare(plan, prepared)
        if before is not None:
            before.check(plan, data)
        teacher = loaded.weights()
        with cluster(plan.settings.ray_address, log=folder.log, shared=len(teacher)):
            plan = with_resources(plan, nodes())
            check_nodes(plan.dataset, place_of(plan.dataset, plan.settings) if plan.download else None)
            state = _check_room(plan, folder, loaded, announce)
            written = PlanFile(
                plan=plan,
                data=data,
                run_key=f"{plan.name}-{uuid.uuid4().hex}" if before is None else before.run_key,
                created=time.time() if before is None else before.created,
                zoo=zoo or plan.settings.zoo,
            )
            written.write(folder.plan)
            folder.begin()
            return _tracked(_Run(plan, view, registry, folder, loaded, teacher, state, resume), written)


@dataclasses.dataclass(frozen=True)
class _Run:
    """What the parts of a run share."""

    plan: SweepPlan
    view: SweepView
    registry: Registry
    folder: SweepFolder
    loaded: Teacher
    teacher: bytes
    state: int
    resumed: bool


def _tracked(run: _Run, written: PlanFile) -> SweepBoard:
    """Runs the sweep, and says how it ended, to MLflow and in its folder, whichever way it does."""
    tracker = _tracker(run, written.run_key)
    try:
        board = _run(run, tracker, written.data)
        ended: SweepStatus = "finished" if board.done() >= board.total else "interrupted"
        tracker.end(ended, metrics={"elapsed_seconds": board.elapsed(), **_reused(board)}, ends=_category_ends(board))
        run.folder.end(ended)
        return board
    except KeyboardInterrupt:
        tracker.end("interrupted")
        tracker.close(_HASTY_SECONDS)
        raise
    except BaseException:
        tracker.end("failed")
        raise
    finally:
        tracker.close()


def _reused(board: SweepBoard) -> dict[str, float]:
    """What first stages of other trials saved, where they saved anything."""
    trials, seconds = board.reused()
    return {"reused_trials": trials, "reused_seconds": seconds} if trials else {}


def _category_ends(board: SweepBoard) -> list[CategoryEnd]:
    """How the categories ended, for the description of the sweep's run."""
    return [
        CategoryEnd(
            category=category,
            metrics=outcome.metrics,
            published=reference(outcome.published),
            champion=outcome.published is not None and outcome.published.promoted,
            reason=outcome.reason,
        )
        for category, outcome in board.outcomes.items()
    ]


def _check_new(folder: SweepFolder) -> None:
    """Refuses the name of a sweep that there is.

    Raises:
        SweepError: there is one.
    """
    if folder.plan.exists() or folder.studies.exists():
        raise SweepError(
            f"there is a sweep named '{folder.name}' already",
            hint=f"go on with it by `kdzoo sweep --resume {folder.name}`, choose another --name, or remove "
            f"'{folder.path}'",
        )


def _prepare(plan: SweepPlan, prepared: Prepared | None) -> dict[str, DataDigests]:
    """Splits every category and decodes what trials may look at, once, for all of them; gives the data's digests."""
    digests = {}
    for done, category in enumerate(plan.spaces):
        if prepared is not None:
            prepared(category, done, len(plan.spaces))
        data = TrialData(plan.dataset, category, plan.options_of(category), cache=plan.settings.cache)
        _ = data.train
        data.check_foreground()
        for name in (plan.options.objective, *(name for name in plan.strategy.also if name not in COSTS)):
            check_objective(data.selection, name)
        digests[category] = DataDigests(**data.identity)
    if prepared is not None:
        prepared("", len(plan.spaces), len(plan.spaces))
    return digests


def _check_room(plan: SweepPlan, folder: SweepFolder, teacher: Teacher, announce: Callable[[str], None] | None) -> int:
    """Says how much disk the checkpoints may take; gives what one of them may.

    Raises:
        SweepError: the disk has less.
    """
    demand = checkpoint_demand(plan, teacher, nodes())
    free = check_room(demand, folder.path, kept=folder.size())
    if announce is not None:
        announce(
            f"Checkpoints take at most {gigabytes(demand.total)} of the {gigabytes(free)} free in '{folder.path}': of "
            f"running trials, and of the best {plan.keep if plan.keep > 1 else 'one'} a category"
        )
    return demand.state


def _tracker(run: _Run, run_key: str) -> SweepTracker:
    plan = run.plan
    tracker = SweepTracker(
        plan.settings.mlflow_uri,
        artifacts=plan.settings.mlflow_artifacts,
        spool=SweepFolder(plan.folder).journal,
        sweep=plan.name,
        run_key=run_key,
        method=plan.method,
        dataset=plan.dataset.name,
        protocol=plan.options.protocol,
        teacher=plan.options.teacher,
        objective=plan.options.objective,
        warn=run.view.note,
    )
    asked = {"trials": plan.trials, "categories": ",".join(plan.spaces), "zoo": run.registry.uri}
    # MLflow lets no parameter change, and a resumed sweep may have more trials.
    params = {} if run.resumed else {**asked, **plan.strategy.as_dict(), **plan.options.as_dict()}
    tracker.start(params=params, tags={"trials": plan.trials})
    return tracker


def _run(run: _Run, tracker: SweepTracker, data: Mapping[str, DataDigests]) -> SweepBoard:
    plan, folder, view = run.plan, run.folder, run.view
    board = SweepBoard(plan.spaces, trials=plan.trials, objective=plan.options.objective)
    context = WorkerContext(
        dataset=plan.dataset,
        cache=plan.settings.cache,
        threads=max(1, int(plan.cpus_per_trial)),
        # A worker that was given a GPU and cannot use it must say so, not train on the CPU for a week.
        device="cuda" if plan.gpus_per_trial else "cpu",
        teacher=SentTeacher.send(run.loaded.name, run.teacher),
        stages=StageResults(
            folder=folder.stages,
            keep=kept_stages(plan, run.loaded),
            teacher=hashlib.sha256(run.teacher).hexdigest(),
        ),
        fetch=place_of(plan.dataset, plan.settings) if plan.download else None,
    )
    places = Places(view.note)
    watch = NodeWatch(places, view.note)
    checkpoints = Checkpoints(folder)
    studies = CategoryStudies(
        plan.spaces,
        storage=folder.studies,
        trials=plan.trials,
        seed=plan.options.seed,
        strategy=plan.strategy,
        loans=plan.loans,
    )
    try:
        done = take_over(plan, board, studies, tracker, checkpoints) if run.resumed else {}
        over = settled(plan, board, folder) if run.resumed else set()
        for category in plan.spaces.keys() - over:
            tracker.start_category(category, tags={"split_digest": data[category].split})
        conclusions = CategoryConclusions(
            plan,
            board,
            tracker=tracker,
            line=FinishingLine(
                context, cpus=plan.cpus_per_trial, gpus=plan.gpus_per_trial or 0.0, places=places, watch=watch
            ),
            publisher=_publisher(run, tracker),
            checkpoints=checkpoints,
            folder=folder,
            teacher=run.teacher,
            view=view,
            settled=over,
        )
        monitor = SweepMonitor(
            plan,
            board,
            tracker=tracker,
            studies=studies,
            checkpoints=checkpoints,
            conclusions=conclusions,
            view=view,
            watch=watch,
            state=run.state,
        )
        view.update(board)
        monitor.conclude_complete()
        trouble = _train(plan, context, monitor, studies, folder, done, places)
    finally:
        studies.close()
    if plan.gpu_hours is not None and board.gpu_seconds() >= plan.gpu_hours * 3600 and board.done() < board.total:
        view.note(f"the {plan.gpu_hours:g} GPU hours are used up; a resumed sweep needs more --gpu-hours to go on")
    if trouble is not None:
        view.note(f"training stopped: {reason(trouble)}; what is finished is measured and published")
    try:
        monitor.conclude_rest()
    except (KdzooError, OSError) as error:
        # A disk that ended the training is not there for this either, and the first word of it says more.
        raise stopped(plan.name, trouble or error, log=folder.log)  # noqa: B904 - it is chained to its own cause
    if trouble is not None:
        raise stopped(plan.name, trouble, log=folder.log)
    return board


def _publisher(run: _Run, tracker: SweepTracker) -> Publisher:
    plan = run.plan
    entries = {name: EntryName(method=plan.method, dataset=plan.dataset.name, category=name) for name in plan.spaces}

    def publish_category(category: str, finished: Finished) -> Published:
        document = {**finished.document, "sweep": plan.name, "mlflow": tracker.category_run(category)}
        entry = entries[category]
        published = publish_once(run.registry, entry, document, finished.files, look=run.resumed, who=plan.settings.who)
        return published.located(run.registry, entry)

    return Publisher(publish_category)


def _train(
    plan: SweepPlan,
    context: WorkerContext,
    monitor: SweepMonitor,
    studies: CategoryStudies,
    folder: SweepFolder,
    done: Mapping[str, int],
    places: Places,
) -> Exception | None:
    """Runs all trials. Gives what ended the run before its time, so that what is finished can still be concluded."""
    if plan.total_trials <= sum(done.values()):
        return None
    try:
        _tuner(plan, context, monitor, studies, folder, done, places).fit()
    except Exception as error:
        # Ray, Optuna, its database and the disk all raise errors of their own.
        cause = error.__cause__ if isinstance(error, tune.TuneError) else None
        return cause if isinstance(cause, Exception) else error
    return None


def _scheduler(plan: SweepPlan, monitor: SweepMonitor, places: Places) -> CategoryScheduler:
    """Early stopping, in which the trials of earlier drivers have their places."""
    scheduler = CategoryScheduler(plan.longest_selection(), places=places)
    for row in monitor.board.rows.values():
        if row.ended and not row.failed:
            scheduler.remember(row.category, row.trial_id, row.measurements)
    return scheduler


def _tuner(
    plan: SweepPlan,
    context: WorkerContext,
    monitor: SweepMonitor,
    studies: CategoryStudies,
    folder: SweepFolder,
    done: Mapping[str, int],
    places: Places,
) -> tune.Tuner:
    trainable = tune.with_resources(
        tune.with_parameters(TrialTrainable, context=context),
        {"cpu": plan.cpus_per_trial, "gpu": plan.gpus_per_trial or 0.0},
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=CategorySearcher(plan, studies, folder, done=done, gpu_seconds=monitor.board.gpu_seconds),
            scheduler=_scheduler(plan, monitor, places),
            num_samples=plan.total_trials - sum(done.values()),
            max_concurrent_trials=plan.max_concurrent,
            time_budget_s=plan.time_budget,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial_name(trial.config["category"], trial.config["number"]),
        ),
        run_config=tune.RunConfig(
            name=folder.next_run(),
            storage_path=str(folder.path),
            callbacks=[monitor],
            stop=StopFile(folder.stop),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_WORKER_FAILURES),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=1, checkpoint_frequency=_CHECKPOINT_EVERY, checkpoint_at_end=True
            ),
        ),
    )
