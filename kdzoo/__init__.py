"""kdzoo: the best image anomaly detector of each product category, loadable by name.

    detector = kdzoo.load("aand", "demo/weave")
    detector.predict("part.png")

Importing this package is light: torch and the rest load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdzoo._version import __version__
from kdzoo.errors import KdzooError

if TYPE_CHECKING:
    from kdzoo.carried.opening import open_detector
    from kdzoo.detector import Detector
    from kdzoo.prediction import Prediction
    from kdzoo.zoo import load

__all__ = ["Detector", "KdzooError", "Prediction", "__version__", "load", "open_detector"]

_LAZY = {
    "Detector": "kdzoo.detector",
    "Prediction": "kdzoo.prediction",
    "load": "kdzoo.zoo",
    "open_detector": "kdzoo.carried.opening",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'kdzoo' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
