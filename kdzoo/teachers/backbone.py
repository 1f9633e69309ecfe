"""The teacher: a frozen timm backbone that gives features at three levels.

Shapes: B images, C_k channels and H_k x W_k positions of level k = 1..3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from math import lcm
from typing import Any, Self

import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save
from timm.layers import LayerScale
from torch import Tensor, nn

from kdzoo.errors import CheckpointError, TeacherError, UnknownNameError, UsageError
from kdzoo.teachers.layer_order import named_by_order, plain
from kdzoo.teachers.levels import NO_LEVELS_HINT, FeatureShape, build_levels, no_levels
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import TeacherName, parse_teacher
from kdzoo.teachers.torchvision_names import SUPPORTED, is_torchvision, timm_names
from kdzoo.teachers.unread import cut_unread
from kdzoo.teachers.weights import SAFETENSORS, read_weights

_RANDOM_SEED = 1
_NOISE_IMAGES, _NOISE_SIDE = 8, 96
_FITTING = (
    f"they must be of that backbone, under timm's names or under torchvision's: of resnets, densenets, {SUPPORTED}; "
    "a .pth or .pt file may have any names if its tensors stand in the order of timm's layers"
)


class Teacher(nn.Module):
    """A frozen backbone, always in eval mode, that takes normalised images.

    Args:
        name: how the person named it.
        backbone: a timm ``features_only`` model of three outputs.
        shape: its feature shape.
        mean: channel means of the input transform.
        std: channel standard deviations of the input transform.

    Attributes:
        unread: tensors of the layers that were cut off behind the last level: names to tensors on the meta device.
        carried: of these, those that came with the weights of an earlier kdzoo's release; never computed with, and
            part of `weights`, so that a release's teacher stays the same bytes.
    """

    def __init__(
        self,
        name: TeacherName,
        backbone: nn.Module,
        *,
        shape: FeatureShape,
        mean: tuple[float, ...],
        std: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.name, self.shape, self.mean, self.std = name, shape, mean, std
        self.backbone = backbone
        self.unread: dict[str, Tensor] = {}
        self.carried: dict[str, Tensor] = {}
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode: a teacher never learns."""
        del mode
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Tensor]:
        """Features of the three levels: ``[B, 3, H, W]`` to ``[B, C_k, H_k, W_k]``, by the shape's reductions.

        Raises:
            ConfigError: a transformer's patches do not divide the image; see `FeatureShape.check_side`.
        """
        if self.shape.flat:
            self.check_side(images.shape[-2])
            self.check_side(images.shape[-1])
        return list(self.backbone(images))

    def check_side(self, side: int) -> None:
        """Refuses images of a size that the levels do not divide; see `FeatureShape.check_side`."""
        self.shape.check_side(side, str(self.name))

    def normalise(self, images: Tensor) -> Tensor:
        """``[B, 3, H, W]`` float in [0, 1] to the backbone's input range."""
        mean = _channel_values(tuple(self.mean), images.dtype, images.device)
        return (images - mean) / _channel_values(tuple(self.std), images.dtype, images.device)

    def load_release(self, state: Mapping[str, Tensor]) -> None:
        """Takes a release's weights: the backbone's, and beside them what an earlier kdzoo kept of unread layers."""
        self.carried = {key: value for key, value in state.items() if key in self.unread}
        self.backbone.load_state_dict({key: value for key, value in state.items() if key not in self.unread})

    def weights(self) -> bytes:
        """The backbone's weights as safetensors bytes; the same weights give the same bytes."""
        state = {**self.backbone.state_dict(), **self.carried}
        return bytes(save({key: value.detach().cpu().contiguous() for key, value in state.items()}))

    def describe(self) -> dict[str, Any]:
        """What a manifest says of the teacher, as JSON values (its weights are a blob of their own)."""
        shape = asdict(self.shape)
        return {
            "name": self.name.label,
            "architecture": self.name.architecture,
            "source": self.name.source,
            "sha256": hashlib.sha256(self.weights()).hexdigest(),
            "mean": list(self.mean),
            "std": list(self.std),
            "shape": {key: list(value) if isinstance(value, tuple) else value for key, value in shape.items()},
        }


@lru_cache(maxsize=32)
def _channel_values(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """``[1, 3, 1, 1]`` on the device, kept there: a copy a batch would make the GPU wait."""
    return torch.tensor(values, dtype=dtype, device=device).view(1, -1, 1, 1)


def load_teacher(name: str, *, offline: bool = False, teachers: LocalTeachers | None = None) -> Teacher:
    """Builds a teacher with its weights.

    Args:
        name: see `kdzoo.teachers.names`.
        offline: never reach for the network.
        teachers: those of this machine; default those in the cache that the environment names.

    Raises:
        UnknownNameError: timm has no such backbone, and this machine no such teacher.
        TeacherUnavailableError: the hub's weights are neither here nor within reach.
        TeacherError: the weights are damaged or do not fit.
    """
    return load_named_teacher(parse_teacher(name, teachers=teachers), offline=offline)


def load_named_teacher(name: TeacherName, *, offline: bool = False) -> Teacher:
    """Builds the teacher of a parsed name with its weights; see `load_teacher`."""
    if name.source == "random":
        return _random_teacher(name)
    teacher = build_teacher(name)
    ordered = name.source == "file" and name.file is not None and name.file.suffix != SAFETENSORS
    fit_teacher(teacher, read_weights(name, offline=offline), foreign=name.source == "file", ordered=ordered)
    return teacher


def fit_teacher(teacher: Teacher, state: dict[str, Tensor], *, foreign: bool = False, ordered: bool = False) -> None:
    """Loads weights into a teacher.

    Args:
        teacher: as `build_teacher` built it.
        state: the weights.
        foreign: their names may be torchvision's.
        ordered: they stand in the order of their model's layers, as in a file that PyTorch wrote: they may have any
            names if that is the order of timm's layers, too.

    Raises:
        TeacherError: they do not fit.
    """
    name, backbone = teacher.name, teacher.backbone
    try:
        try:
            named = state
            if foreign and is_torchvision(state, backbone):
                named = timm_names(name.architecture, state, backbone, unread=teacher.unread)
            fit_weights(backbone, named)
        except CheckpointError as error:
            if not ordered:
                raise
            fit_weights(backbone, _by_order(teacher, state, error))
    except CheckpointError as error:
        raise TeacherError(
            f"weights do not fit teacher '{name}': {error.message}", hint=error.hint or _FITTING
        ) from error


def _by_order(teacher: Teacher, state: dict[str, Tensor], by_name: CheckpointError) -> dict[str, Tensor]:
    """The state dict under timm's names, by the order of its tensors.

    Raises:
        CheckpointError: neither their names nor their order fit.
    """
    model = timm.create_model(teacher.name.architecture, pretrained=False).state_dict()
    try:
        return named_by_order(state, model, needed=(*teacher.backbone.state_dict(), *teacher.unread))
    except CheckpointError as error:
        raise CheckpointError(
            f"{by_name.message}; nor do they by their order: {error.message}", hint=by_name.hint
        ) from by_name


def build_teacher(name: TeacherName) -> Teacher:
    """Builds a teacher's modules, weights yet to be loaded. Layers that no level reads are cut off.

    Levels and channels are timm's metadata of the backbone; so are mean and std, unless more is known of the weights.

    Raises:
        UnknownNameError: timm has no such backbone, or no such weights of it.
        UsageError: the backbone has no features at the three levels.
    """
    architecture = name.architecture
    base, _, tag = architecture.partition(".")
    if not timm.is_model(base):
        raise UnknownNameError("teacher", architecture, _near_models(architecture))
    if tag and architecture not in timm.list_pretrained(f"{base}.*"):
        raise UnknownNameError("teacher", architecture, timm.list_pretrained(f"{base}.*"))
    backbone, shape, published = build_levels(architecture)
    known = name.card or name.packaged
    mean, std = (known.mean, known.std) if known else (tuple(published["mean"]), tuple(published["std"]))
    teacher = Teacher(name, backbone, shape=shape, mean=mean, std=std)
    _cut_and_check(teacher)
    return teacher


def _cut_and_check(teacher: Teacher) -> None:
    """Cuts off what no level reads, and refuses levels that are not those of the metadata, for images of any size.

    Levels of unpadded convolutions are smaller than timm's metadata say; those of many transformers have their
    channels last, or come only of images of one size.

    Raises:
        UsageError: a student could not mirror it.
    """
    architecture, shape = teacher.name.architecture, teacher.shape
    height, width = shape.tried_sides
    try:
        levels, teacher.unread = cut_unread(teacher.backbone, torch.zeros(1, 3, height, width))
    except Exception as error:  # each author of a backbone of one size refuses others in a way of their own
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise UsageError(
            f"backbone '{architecture}' does not take images of {height}x{width} pixels, "
            f"and a teacher must take any multiple of {shape.side_step}: {reason}",
            hint=NO_LEVELS_HINT,
        ) from error
    pairs = zip(shape.channels, shape.reductions, strict=True)
    if [tuple(level.shape) for level in levels] != [(1, each, height // by, width // by) for each, by in pairs]:
        raise no_levels(architecture)


def fit_weights(backbone: nn.Module, state: dict[str, Tensor]) -> None:
    """Loads a checkpoint into a backbone; layers the backbone leaves out (classifier, last stage) are passed over.

    timm writes ``stages.0`` of a whole model as ``stages_0`` in a features-only one, or as ``model.stages.0``: all are
    understood.

    Raises:
        CheckpointError: a tensor is missing, misshapen or not finite.
    """
    given = {plain(key): value for key, value in state.items()}
    wanted = backbone.state_dict()
    fitted: dict[str, Tensor] = {}
    missing = []
    for key, value in wanted.items():
        found = given.get(plain(key))
        if found is None:
            if key.endswith("num_batches_tracked"):
                found = value
            else:
                missing.append(key)
                continue
        if found.shape != value.shape:
            raise CheckpointError(f"'{key}' has shape {tuple(found.shape)}, expected {tuple(value.shape)}")
        if not torch.isfinite(found).all():
            raise CheckpointError(f"'{key}' holds NaN or infinite values")
        fitted[key] = found.to(value.dtype)
    if missing:
        raise CheckpointError(f"{len(missing)} of {len(wanted)} tensors are missing, the first '{missing[0]}'")
    backbone.load_state_dict(fitted, strict=True)


def _random_teacher(name: TeacherName) -> Teacher:
    """A network of seeded random weights; every build of a torch version gives the same ones.

    Its batch norms are set to the statistics of seeded noise images. Left at mean 0 and variance 1 they normalise
    nothing: features of all images then point nearly the same way, and a cosine between them says little.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        teacher = build_teacher(name)
        for module in teacher.modules():
            # timm starts the last norm of each residual branch at zero, which would leave the branch out.
            if isinstance(module, nn.BatchNorm2d) and not module.weight.any():
                nn.init.ones_(module.weight)
            # Nor would a transformer's blocks add anything that a float32 keeps.
            elif isinstance(module, LayerScale):
                nn.init.ones_(module.gamma)
    _calibrate_norms(teacher.backbone, shape=teacher.shape)
    return teacher


def _calibrate_norms(backbone: nn.Module, *, shape: FeatureShape) -> None:
    """Sets the running statistics of all batch norms from seeded noise of several octaves.

    Computed in float64 and kept to bfloat16's precision, so that machines which sum in another order agree to the bit.
    """
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    side = lcm(_NOISE_SIDE, shape.reductions[2])
    generator = torch.Generator().manual_seed(_RANDOM_SEED)
    images = torch.zeros(_NOISE_IMAGES, 3, side, side, dtype=torch.float64)
    for octave in range(1, 7):
        field = torch.randn(_NOISE_IMAGES, 3, 2**octave, 2**octave, generator=generator, dtype=torch.float64)
        images += 0.6 * F.interpolate(field, size=(side, side), mode="bicubic")
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the statistics of this one batch, not a moving average
        norm.train()
    with torch.no_grad():
        backbone.double()(images)
    for norm in norms:
        for statistic in (norm.running_mean, norm.running_var):
            if statistic is not None:
                statistic.copy_(statistic.bfloat16())
    backbone.float().eval()


def _near_models(architecture: str) -> list[str]:
    stem = architecture[:6].rstrip("0123456789_")
    return timm.list_models(f"{stem}*")[:12] or ["resnet18", "resnet50", "wide_resnet50_2", "convnext_tiny"]
