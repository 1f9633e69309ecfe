"""One sweep: checks first, one Ray Tune run over all categories, and what is left at its end."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping, Sequence

from ray import tune

from kdzoo.errors import KdzooError, StorageError, SweepError
from kdzoo.search.board import SweepBoard
from kdzoo.search.cluster import Node, check_address, cluster, nodes
from kdzoo.search.finish import Finished, FinishingLine
from kdzoo.search.monitor import SweepMonitor, SweepView
from kdzoo.search.plan import SweepPlan
from kdzoo.search.reasons import reason
from kdzoo.search.scheduler import CategoryScheduler
from kdzoo.search.searcher import CategorySearcher
from kdzoo.search.sent_teacher import SentTeacher
from kdzoo.search.studies import CategoryStudies
from kdzoo.search.trainable import TrialTrainable, WorkerContext
from kdzoo.teachers.backbone import load_teacher
from kdzoo.teachers.names import TeacherName
from kdzoo.tracking import SweepTracker
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import check_objective
from kdzoo.zoo import Published, open_registry, publish
from zoo_registry import EntryName, Registry

_WORKER_FAILURES = 3
_CHECKPOINT_EVERY = 5
_HASTY_SECONDS = 1.0
_STUDIES = "studies.db"
_RUN_KEY = "run-key"

Prepared = Callable[[str, int, int], None]


def run_sweep(
    plan: SweepPlan, view: SweepView, *, zoo: str | None = None, prepared: Prepared | None = None
) -> SweepBoard:
    """Runs a sweep to its end.

    Whatever can be wrong is found before the first trial: the cluster, the zoo's rights, the sweep's folder, the
    teacher's weights, every category's split, every image that may be looked at.

    Ctrl-C once ends the training; what is finished by then is measured and published. Ctrl-C twice ends at once.

    Args:
        plan: what to do.
        view: who watches.
        zoo: where to publish; default the settings' own.
        prepared: told ``(category, done, total)`` as categories are made ready.

    Returns:
        The board at the end, with an outcome for every category.

    Raises:
        KdzooError: the sweep cannot start, or Ray or the disk gave up on the way; what was finished is published.
        RegistryError: the zoo cannot be published to.
        KeyboardInterrupt: a second Ctrl-C, or one before the first trial.
    """
    check_address(plan.settings.ray_address)
    entries = {name: EntryName(method=plan.method, dataset=plan.dataset.name, category=name) for name in plan.spaces}
    registry = open_registry(plan.settings, zoo, warn=view.note)
    registry.probe()
    run_key = _make_folder(plan)
    loaded = load_teacher(plan.options.teacher, offline=plan.settings.offline)
    name, teacher = loaded.name, loaded.weights()
    digests = _prepare(plan, prepared)
    with cluster(plan.settings.ray_address, log=plan.folder / "ray.log", shared=len(teacher)):
        plan = _with_resources(plan, nodes())
        tracker = _tracker(plan, registry, view, run_key)
        try:
            for category, digest in digests.items():
                tracker.start_category(category, tags={"split_digest": digest})
            return _run(plan, view, registry, tracker, entries, name, teacher)
        except KeyboardInterrupt:
            tracker.end("interrupted")
            tracker.close(_HASTY_SECONDS)
            raise
        except BaseException:
            tracker.end("failed")
            raise
        finally:
            tracker.close()


def _make_folder(plan: SweepPlan) -> str:
    """Makes the sweep's folder, and in it the key that its MLflow runs are found by.

    A name alone is no key: once its folder is removed, another sweep may bear it, with other data or protocol.

    Returns:
        The key.

    Raises:
        SweepError: another sweep lives there.
        StorageError: it cannot be made.
    """
    key = f"{plan.name}-{uuid.uuid4().hex}"
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        if (plan.folder / _STUDIES).exists():
            raise SweepError(
                f"there is a sweep named '{plan.name}' already", hint=f"choose another name, or remove '{plan.folder}'"
            )
        (plan.folder / _RUN_KEY).write_text(key, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot make the sweep's folder '{plan.folder}': {error.strerror}", hint="set KDZOO_HOME to another place"
        ) from error
    return key


def _prepare(plan: SweepPlan, prepared: Prepared | None) -> dict[str, str]:
    """Splits every category and decodes what trials may look at, once, for all of them; gives the split digests."""
    digests = {}
    for done, category in enumerate(plan.spaces):
        if prepared is not None:
            prepared(category, done, len(plan.spaces))
        data = TrialData(plan.dataset, category, plan.options, cache=plan.settings.cache)
        _ = data.train
        check_objective(data.selection, plan.options.objective)
        digests[category] = data.parts.digest
    if prepared is not None:
        prepared("", len(plan.spaces), len(plan.spaces))
    return digests


def _with_resources(plan: SweepPlan, nodes: Sequence[Node]) -> SweepPlan:
    """Checks what a trial asks for against single machines; without a word, a trial takes a GPU where there are any."""
    cpus, gpus = (max((getattr(node, kind) for node in nodes), default=0.0) for kind in ("cpus", "gpus"))
    if plan.gpus_per_trial is None:
        plan = dataclasses.replace(plan, gpus_per_trial=1.0 if gpus else 0.0)
    asked = Node(cpus=plan.cpus_per_trial, gpus=plan.gpus_per_trial or 0.0)
    for wanted, there, kind, hint in (
        (asked.cpus, cpus, "CPUs", "lower --cpus-per-trial"),
        (asked.gpus, gpus, "GPUs", "lower --gpus-per-trial; 0 trains on the CPU"),
    ):
        if wanted > there:
            raise SweepError(
                f"a trial asks for {wanted:g} {kind}, but the largest node that Ray sees has {there:g}", hint=hint
            )
    if not any(node.cpus >= asked.cpus and node.gpus >= asked.gpus for node in nodes):
        raise SweepError(
            f"no single node has both the {asked.cpus:g} CPUs and the {asked.gpus:g} GPUs that a trial asks for",
            hint="lower --cpus-per-trial or --gpus-per-trial",
        )
    return plan


def _tracker(plan: SweepPlan, registry: Registry, view: SweepView, run_key: str) -> SweepTracker:
    tracker = SweepTracker(
        plan.settings.mlflow_uri,
        artifacts=plan.settings.mlflow_artifacts,
        spool=plan.folder / "mlflow.jsonl",
        sweep=plan.name,
        run_key=run_key,
        method=plan.method,
        dataset=plan.dataset.name,
        protocol=plan.options.protocol,
        teacher=plan.options.teacher,
        objective=plan.options.objective,
        warn=view.note,
    )
    asked = {"trials": plan.trials, "categories": ",".join(plan.spaces), "zoo": registry.uri}
    tracker.start(params={**asked, **plan.options.as_dict()})
    return tracker


def _run(
    plan: SweepPlan,
    view: SweepView,
    registry: Registry,
    tracker: SweepTracker,
    entries: Mapping[str, EntryName],
    name: TeacherName,
    teacher: bytes,
) -> SweepBoard:
    board = SweepBoard(plan.spaces, trials=plan.trials, objective=plan.options.objective)
    context = WorkerContext(
        dataset=plan.dataset,
        cache=plan.settings.cache,
        threads=max(1, int(plan.cpus_per_trial)),
        # A worker that was given a GPU and cannot use it must say so, not train on the CPU for a week.
        device="cuda" if plan.gpus_per_trial else "cpu",
        teacher=SentTeacher.send(name, teacher),
    )

    def publish_category(category: str, finished: Finished) -> Published:
        return publish(registry, entries[category], {**finished.document, "sweep": plan.name}, finished.files)

    line = FinishingLine(context, cpus=plan.cpus_per_trial, gpus=plan.gpus_per_trial or 0.0)
    monitor = SweepMonitor(
        plan, board, tracker=tracker, line=line, publish=publish_category, teacher=teacher, view=view
    )
    view.update(board)
    trouble = _train(plan, context, monitor)
    interrupted = board.ended() < board.total
    if trouble is not None:
        view.note(f"training stopped: {reason(trouble)}; what is finished is measured and published")
    monitor.conclude_rest()
    if trouble is not None:
        if isinstance(trouble, KdzooError):
            raise trouble
        raise SweepError(
            f"the sweep '{plan.name}' stopped: {reason(trouble)}", hint=f"see '{plan.folder / 'ray.log'}'"
        ) from trouble
    tracker.end("interrupted" if interrupted else "finished", metrics={"elapsed_seconds": board.elapsed()})
    return board


def _train(plan: SweepPlan, context: WorkerContext, monitor: SweepMonitor) -> Exception | None:
    """Runs all trials. Gives what ended the run before its time, so that what is finished can still be concluded."""
    studies = CategoryStudies(plan.spaces, storage=plan.folder / _STUDIES, trials=plan.trials, seed=plan.options.seed)
    try:
        _tuner(plan, context, monitor, studies).fit()
    except Exception as error:
        # Ray, Optuna, its database and the disk all raise errors of their own.
        cause = error.__cause__ if isinstance(error, tune.TuneError) else None
        return cause if isinstance(cause, Exception) else error
    finally:
        studies.close()
    return None


def _tuner(plan: SweepPlan, context: WorkerContext, monitor: SweepMonitor, studies: CategoryStudies) -> tune.Tuner:
    trainable = tune.with_resources(
        tune.with_parameters(TrialTrainable, context=context),
        {"cpu": plan.cpus_per_trial, "gpu": plan.gpus_per_trial or 0.0},
    )
    return tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=CategorySearcher(plan, studies),
            scheduler=CategoryScheduler(plan.longest_selection()),
            num_samples=plan.total_trials,
            max_concurrent_trials=plan.max_concurrent,
            time_budget_s=plan.time_budget,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: f"{trial.config['category']}-{trial.config['number']:04d}",
        ),
        run_config=tune.RunConfig(
            name="trials",
            storage_path=str(plan.folder),
            callbacks=[monitor],
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_WORKER_FAILURES),
            checkpoint_config=tune.CheckpointConfig(
                num_to_keep=1, checkpoint_frequency=_CHECKPOINT_EVERY, checkpoint_at_end=True
            ),
        ),
    )
