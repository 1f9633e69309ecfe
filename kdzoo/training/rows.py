"""Rows of an array on their way to the device: from the host's memory map, or kept on the GPU when they fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.data.devices import uploaded, waits

RESIDENT_SHARE = 0.25
"""An array moves to the GPU as a whole when it takes less than this share of the free memory there."""


class Rows:
    """An array whose rows are asked for a batch at a time; no batch makes the host wait.

    Args:
        values: ``[N, ...]``, usually a memory map.
        device: where batches are wanted.
    """

    def __init__(self, values: NDArray[Any], device: torch.device) -> None:
        self._values, self._device = values, device
        self._resident: Tensor | None = None
        if waits(device) and values.nbytes < free_memory(device) * RESIDENT_SHARE:
            self._resident = torch.from_numpy(np.array(values)).to(device)

    def take(self, indices: NDArray[np.int64]) -> Tensor:
        """``[B, ...]`` on the device: a copy of these rows."""
        if self._resident is not None:
            return self._resident.index_select(0, uploaded(torch.from_numpy(indices), self._device))
        return uploaded(torch.from_numpy(self._values[indices]), self._device)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a GPU."""
    return int(torch.cuda.mem_get_info(device)[0])
