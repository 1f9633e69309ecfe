"""One sweep: checks first, one Ray Tune run over all categories, and what is left at its end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ray import tune

from kdzoo.errors import SweepError
from kdzoo.search.board import SweepBoard
from kdzoo.search.cluster import cluster, gpus
from kdzoo.search.finish import Finished, FinishingLine
from kdzoo.search.monitor import SweepMonitor, SweepView
from kdzoo.search.plan import SweepPlan
from kdzoo.search.scheduler import CategoryScheduler
from kdzoo.search.searcher import CategorySearcher
from kdzoo.search.studies import CategoryStudies
from kdzoo.search.trainable import TrialTrainable, WorkerContext
from kdzoo.teachers.backbone import load_teacher
from kdzoo.tracking import SweepTracker
from kdzoo.training.data import TrialData
from kdzoo.zoo import Published, open_registry, publish
from zoo_registry import EntryName, Registry

_WORKER_FAILURES = 3
_CHECKPOINT_EVERY = 5

Prepared = Callable[[str, int, int], None]


def run_sweep(plan: SweepPlan, view: SweepView, *, zoo: str | None = None, prepared: Prepared | None = None) -> SweepBoard:
    """Runs a sweep to its end.

    Whatever can be wrong is found before the first trial: the zoo's rights, the teacher's weights, every category's
    split, every image that may be looked at.

    Args:
        plan: what to do.
        view: who watches.
        zoo: where to publish; default the settings' own.
        prepared: told ``(category, done, total)`` as categories are made ready.

    Returns:
        The board at the end, with an outcome for every category.

    Raises:
        KdzooError: the sweep cannot start.
        RegistryError: the zoo cannot be published to.
    """
    registry = open_registry(plan.settings, zoo, warn=view.note)
    registry.probe()
    load_teacher(plan.options.teacher, offline=plan.settings.offline)
    digests = _prepare(plan, prepared)
    with cluster(plan.settings.ray_address):
        plan = _with_resources(plan)
        tracker = _tracker(plan, registry, view)
        try:
            board = _run(plan, view, registry, tracker, digests)
        except BaseException:
            tracker.end("failed")
            raise
        finally:
            tracker.close()
    return board


def _prepare(plan: SweepPlan, prepared: Prepared | None) -> dict[str, str]:
    """Splits every category and decodes what trials may look at, once, for all of them; gives the split digests."""
    digests = {}
    for done, category in enumerate(plan.spaces):
        if prepared is not None:
            prepared(category, done, len(plan.spaces))
        data = TrialData(plan.dataset, category, plan.options, cache=plan.settings.cache)
        _ = data.train, data.selection
        digests[category] = data.parts.digest
    if prepared is not None:
        prepared("", len(plan.spaces), len(plan.spaces))
    return digests


def _with_resources(plan: SweepPlan) -> SweepPlan:
    """Checks what a trial asks for against the cluster; without a word, a trial takes a GPU where there are any."""
    available = gpus()
    if plan.gpus_per_trial is None:
        return dataclasses.replace(plan, gpus_per_trial=1.0 if available else 0.0)
    if plan.gpus_per_trial > available:
        raise SweepError(
            f"a trial asks for {plan.gpus_per_trial:g} GPUs, but Ray sees {available:g}",
            hint="lower --gpus-per-trial; 0 trains on the CPU",
        )
    return plan


def _tracker(plan: SweepPlan, registry: Registry, view: SweepView) -> SweepTracker:
    tracker = SweepTracker(
        plan.settings.mlflow_uri,
        artifacts=plan.settings.mlflow_artifacts,
        spool=plan.folder / "mlflow.jsonl",
        sweep=plan.name,
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
    plan: SweepPlan, view: SweepView, registry: Registry, tracker: SweepTracker, digests: dict[str, str]
) -> SweepBoard:
    board = SweepBoard(plan.spaces, trials=plan.trials, objective=plan.options.objective)
    for category in plan.spaces:
        tracker.start_category(category, tags={"split_digest": digests[category]})
    context = WorkerContext(
        dataset=plan.dataset,
        cache=plan.settings.cache,
        offline=plan.settings.offline,
        threads=max(1, int(plan.cpus_per_trial)),
    )

    def publish_category(category: str, finished: Finished) -> Published:
        entry = EntryName(method=plan.method, dataset=plan.dataset.name, category=category)
        document = {**finished.document, "sweep": plan.name}
        return publish(registry, entry, document, finished.files)

    line = FinishingLine(context, cpus=plan.cpus_per_trial, gpus=plan.gpus_per_trial or 0.0)
    monitor = SweepMonitor(plan, board, tracker=tracker, line=line, publish=publish_category, view=view)
    view.update(board)
    _tuner(plan, context, monitor).fit()
    monitor.conclude_rest()
    interrupted = board.ended() < board.total
    tracker.end("interrupted" if interrupted else "finished", metrics={"cost_seconds": board.elapsed()})
    return board


def _tuner(plan: SweepPlan, context: WorkerContext, monitor: SweepMonitor) -> tune.Tuner:
    studies = CategoryStudies(
        plan.spaces, storage=plan.folder / "studies.db", trials=plan.trials, seed=plan.options.seed
    )
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
