"""What the gates of the amplifiers are worth: do they open on anomalies more than elsewhere?

Shapes: B images, h x w positions of a level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.methods.base import Findings
from kdzoo.metrics.image import ImageScores

SEPARATES: Final = 0.75
"""The AUROC from which a gate counts as one that separates: halfway between chance and no mistake.

Of an anomalous and a normal position the gate is then the more open on the anomalous one in three of four cases. What
is planted is what the gate has learned from, the easiest that it will meet: one that is below this there changes normal
features as it does others, and the distillation learns from that in place of amplified anomalies.
"""


class GateScores:
    """Gates and truths of positions, collected over batches.

    Args:
        levels: how many.
    """

    def __init__(self, levels: int) -> None:
        self._gates: list[list[NDArray[Any]]] = [[] for _ in range(levels)]
        self._truths: list[list[NDArray[Any]]] = [[] for _ in range(levels)]

    def add(self, gates: Iterable[Tensor], truths: Iterable[Tensor], inside: Iterable[Tensor]) -> None:
        """Takes a batch; positions that are neither anomalous nor of the product do not count.

        Args:
            gates: ``[B, h*w, 1]`` a level.
            truths: the same shapes, 1 where anomalous.
            inside: the same shapes, 1 where the product is.
        """
        for level, (gate, truth, product) in enumerate(zip(gates, truths, inside, strict=True)):
            counted = (product > 0) | (truth > 0)
            self._gates[level].append(gate[counted].float().cpu().numpy())
            self._truths[level].append(truth[counted].cpu().numpy().astype(np.int64))

    def findings(self) -> Findings:
        """``gate_auroc_1`` and so on, of each level where it is defined, and a warning where none separates."""
        found: dict[str, float] = {}
        for level, (gates, truths) in enumerate(zip(self._gates, self._truths, strict=True), start=1):
            if gates:
                auroc = ImageScores(scores=np.concatenate(gates), labels=np.concatenate(truths)).image_auroc()
                if auroc is not None:
                    found[f"gate_auroc_{level}"] = auroc
        return Findings(metrics=found, warnings=_warnings(list(found.values())))


def _warnings(aurocs: Sequence[float]) -> tuple[str, ...]:
    if not aurocs:
        return ("the gate was not judged: no anomaly could be planted on the held-out normal images",)
    if max(aurocs) >= SEPARATES:
        return ()
    told = ", ".join(f"{value:.2f}" for value in aurocs)
    return (
        f"the gate does not tell planted anomalies from normal positions: AUROC {told} by level, and {SEPARATES:g} is "
        "asked of at least one, so amplification changes normal features as much; more amplify_epochs or epoch_steps "
        "may open it, and amplify_epochs=0 does without",
    )
