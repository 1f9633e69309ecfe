"""What is used of anomalib, imported in one place: it takes seconds and warns of its own parts."""

from __future__ import annotations

import warnings
from importlib import metadata

from kdzoo.errors import MissingDependencyError

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from anomalib.models.components import KCenterGreedy, SparseRandomProjection
        from anomalib.models.image.patchcore.torch_model import PatchcoreModel
        from anomalib.models.image.stfpm.anomaly_map import AnomalyMapGenerator as STFPMMap
        from anomalib.models.image.stfpm.loss import STFPMLoss
except ImportError as error:
    raise MissingDependencyError(
        f"anomalib {metadata.version('anomalib')} has not what is used of it: {error}",
        hint="pip install --upgrade 'kdzoo[anomalib]'",
    ) from error

__all__ = ["KCenterGreedy", "PatchcoreModel", "STFPMLoss", "STFPMMap", "SparseRandomProjection"]
