"""How much of the cache the frozen features of a sweep's images take, reckoned before the first trial."""

from __future__ import annotations

from math import prod

from kdzoo.data.cache.entry import squares
from kdzoo.methods.registry import build_method
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.disk import gigabytes
from kdzoo.teachers.backbone import Teacher
from kdzoo.training.data import TrialData
from kdzoo.training.without_init import WithoutRandomInit

_FLOAT = 4


def told_feature_room(plan: SweepPlan, teacher: Teacher) -> str | None:
    """What to say of the cache that features take on each node, where it has room for them.

    Args:
        plan: the sweep, its GPUs a trial settled.
        teacher: its backbone.

    Returns:
        None when nothing is kept on a disk: on GPUs, with a limit of 0, for a method without frozen features.
    """
    if plan.gpus_per_trial or plan.settings.cache_limit == 0:
        return None
    sizes = [_bytes_of(plan, category, teacher) for category in plan.spaces]
    where = f"of '{plan.settings.cache}' on each node, where it has room for them"
    match _kept_for(plan, teacher):
        case "all trials":
            return f"Features of the frozen teacher take {gigabytes(sum(sizes))} {where}: trials share them"
        case "each trial":
            return f"Frozen features take up to {gigabytes(max(sizes))} a running trial {where}, and go with it"
    return None


def _bytes_of(plan: SweepPlan, category: str, teacher: Teacher) -> int:
    """Of what is kept of a category's train and selection part, from above: unreadable images are counted."""
    options = plan.options_of(category)
    parts = TrialData(plan.dataset, category, options, cache=plan.settings.cache).parts
    # Under the synthetic protocol each selection image is there once more, with an anomaly planted.
    kept = [parts.select] * (2 if parts.synthetic_select else 1)
    if not options.augment:  # of train images that are changed each time anew nothing is kept
        kept.append(parts.train)
    images = sum(squares(each, options.tiling) for each in kept)
    sides = [options.image_size // step for step in teacher.shape.reductions]
    pairs = zip(teacher.shape.channels, sides, strict=True)
    return images * sum(prod((channels, side, side, _FLOAT)) for channels, side in pairs)


def _kept_for(plan: SweepPlan, teacher: Teacher) -> str | None:
    space = next(iter(plan.spaces.values()))
    with WithoutRandomInit():
        method = build_method(space.method, space.config(space.assignment({})), teacher)
    frozen = method.frozen()
    if frozen is None:
        return None
    return "all trials" if frozen.modules == (method.teacher,) else "each trial"
