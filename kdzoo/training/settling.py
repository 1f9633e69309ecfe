"""A few normal images, shown to a method before its maps are measured: of the selection part, or of the train part.

A student knows train images too well, and unevenly so, which makes its levels look steadier than they are; the decision
threshold rests on the selection part, which nothing may follow closely. `Method.settles_on` says which matters more.
What the report is measured on has no say.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kdzoo.methods.base import Method
from kdzoo.training.evaluation import EVALUATION_BATCH, evaluating, exact
from kdzoo.training.features import FeatureSource
from kdzoo.training.images import ImageSource
from kdzoo.training.showing import shown
from kdzoo.training.tiles import RowsInside

MOST_SHOWN: Final = 64
FEWEST_SHOWN: Final = 4
PIXELS_SHOWN: Final = 64 * 256**2
"""More images cost time at every evaluation, and each has thousands of pixels: of large ones fewer do."""


@exact()
def settle(
    method: Method,
    source: ImageSource,
    labels: NDArray[np.int64],
    *,
    seed: int,
    inside: NDArray[np.bool_] | RowsInside | None = None,
    features: FeatureSource | None = None,
) -> None:
    """Shows a method up to `MOST_SHOWN` normal images, always the same ones for a seed, in eval mode.

    A method that needs none of them reads none. Without normal images nothing is shown: whatever measures such a part
    says so.

    Args:
        method: whose weights are to be measured.
        source: of the images of a part, on the method's device.
        labels: ``[N]`` of these, 1 for anomalous.
        seed: of the choice.
        inside: ``[S, S]`` or ``[N, S, S]`` bool, or the like of tiles, what counts of the images; None: everything.
        features: where the method's frozen features of the images come from; None leaves them to the method.
    """
    normal = np.flatnonzero(labels == 0)
    count = min(max(PIXELS_SHOWN // int(np.prod(source.images.shape[1:3])), FEWEST_SHOWN), MOST_SHOWN)
    chosen = np.sort(np.random.default_rng(seed).permutation(normal)[:count])
    if len(chosen):
        with evaluating(method):
            method.settle(shown(method, source, chosen, EVALUATION_BATCH, inside, features))
