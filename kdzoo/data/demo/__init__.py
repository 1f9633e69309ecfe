"""The demo data set: four factory products drawn by formula, in the mvtec layout.

    root = ensure_demo(settings.data / "demo")
    picture = render_demo("milled", "test", "scratch", 0)

Importing this package is light: NumPy and SciPy load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdzoo.data.demo.build import DemoCounts, ensure_demo
    from kdzoo.data.demo.render import DEMO_DEFECTS, DemoImage, render_demo

__all__ = ["DEMO_DEFECTS", "DemoCounts", "DemoImage", "ensure_demo", "render_demo"]

_LAZY = {
    "DEMO_DEFECTS": "kdzoo.data.demo.render",
    "DemoCounts": "kdzoo.data.demo.build",
    "DemoImage": "kdzoo.data.demo.render",
    "ensure_demo": "kdzoo.data.demo.build",
    "render_demo": "kdzoo.data.demo.render",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'kdzoo.data.demo' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
