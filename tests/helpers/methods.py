"""The methods that there are, and what a test asks of one before it trains it."""

import pytest
import torch
from helpers.trials import SIZE

from kdzoo.methods.base import Method, OnePass, Shown, Stage
from kdzoo.methods.registry import METHODS, find_method, method_names

LEARNING = [name for name, entry in METHODS.items() if entry.config().epoch_keys()]
"""kdzoo's own that take gradient steps."""


def all_methods() -> list[object]:
    """Names of all registered methods; one whose packages are not installed is skipped, and the summary says so."""
    entries = [find_method(name) for name in method_names()]
    return [
        pytest.param(entry.name, marks=pytest.mark.skipif(bool(entry.missing), reason=f"needs {entry.install}"))
        for entry in entries
    ]


def stepping(method: Method, *, some: bool = True) -> list[Stage]:
    """The stages that take gradient steps; without ``some`` there may be none, else the test is skipped then."""
    found = [stage for stage in method.stages() if isinstance(stage, Stage)]
    if some and not found:
        pytest.skip("takes no gradient steps")
    return found


def shown_noise(method: Method) -> Method:
    """The same method, its stages of one pass over: without them it may have nothing to compare images with."""
    images = method.teacher.normalise(torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        for stage in method.stages():
            if isinstance(stage, OnePass):
                stage.take(iter([Shown(images=images)]), len(images))
    return method
