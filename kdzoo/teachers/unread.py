"""Layers after a backbone's last level. No level reads them, so they are cut off: not computed, not kept, not trained.

timm's features-only EfficientNets and MobileNets keep all their blocks, whatever levels are asked for: of an
EfficientNet-Lite0 76 % of the weights and a third of the operations come after the third level. Most other backbones
end with their last level as timm builds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def cut_unread(backbone: nn.Module, images: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Runs a backbone and cuts off the end of its last row of layers: all after the one that gives the last level.

    Args:
        backbone: a ``features_only`` model in eval mode; cut in place.
        images: ``[B, 3, H, W]`` to run it on, of any values.

    Returns:
        The levels that it gives now, and the tensors that went: names to tensors on the meta device, for their shapes.
    """
    name, row = list(backbone.named_children())[-1]
    if type(row) is not nn.Sequential:
        return list(backbone(images)), {}
    outputs: dict[int, Any] = {}

    def keep(place: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_layer: nn.Module, _given: Any, output: Any) -> None:
            outputs[place] = output

        return hook

    hooks = [layer.register_forward_hook(keep(place)) for place, layer in enumerate(row)]
    try:
        levels = list(backbone(images))
    finally:
        for hook in hooks:
            hook.remove()
    # The last one: layers that work in place hand on the very tensor that they were given.
    giving = max((place for place, output in outputs.items() if output is levels[-1]), default=len(row) - 1)
    unread = {f"{name}.{key}": value.to("meta") for key, value in row[giving + 1 :].state_dict().items()}
    if not unread:
        return levels, {}
    setattr(backbone, name, row[: giving + 1])
    return list(backbone(images)), unread
