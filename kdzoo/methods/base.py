"""The contract between methods and the trainer.

The trainer knows no method; a method knows no loop, device, file or tracker.
Shapes: B images, H height, W width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from torch import Tensor, nn

from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.teachers.backbone import Teacher


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What a loss sees.

    Attributes:
        images: ``[B, 3, H, W]`` float, normalised, as they are.
        augmented: the same with synthetic anomalies; the images themselves in a stage without synthesis.
        masks: ``[B, 1, H, W]`` float, 1 where an anomaly was planted.
        foreground: ``[B, 1, H, W]`` bool, where the product is.
        features: what the stage's `Frozen` gives of ``images``, where the caller has it; None leaves it to the loss.
    """

    images: Tensor
    augmented: Tensor
    masks: Tensor
    foreground: Tensor
    features: list[Tensor] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """Features that are always the same for an image: made by modules that do not train, from the image as it is.

    Whoever runs a method may make them once and hand them over each time. An image's features must not depend on what
    else is in its batch.

    Attributes:
        name: ``teacher``, or what the method does with the teacher's features.
        compute: ``[B, 3, H, W]`` normalised images to levels ``[B, C, h, w]``.
        modules: all whose weights have a say; the teacher alone gives the same to every trial.
    """

    name: str
    compute: Callable[[Tensor], list[Tensor]]
    modules: tuple[nn.Module, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Normal images that a method is shown, by `Method.settle` or in a stage of `OnePass`.

    Attributes:
        images: ``[B, 3, H, W]``, normalised, as they are.
        features: what `Method.frozen`, or the stage's own `Frozen`, gives of them, where the caller has it; None leaves
            it to the method.
        inside: ``[B, H, W]`` bool, what counts of them; None: everything.
    """

    images: Tensor
    features: list[Tensor] | None = None
    inside: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a stage that is over says of itself; see `Stage.examine`.

    Attributes:
        metrics: name to value, finite; names are a method's own, the same for every trial of it.
        warnings: what a person should know of it, each a sentence with what to do.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """Adam with steps down: the learning rate is multiplied by ``decay`` at each milestone.

    Attributes:
        learning_rate: at the start.
        betas: Adam's.
        milestones: fractions of the stage's epochs.
        decay: factor at each milestone.
    """

    learning_rate: float
    betas: tuple[float, float] = (0.5, 0.999)
    milestones: tuple[float, ...] = ()
    decay: float = 1.0

    @classmethod
    def with_late_steps(cls, learning_rate: float) -> Self:
        """A learning rate that falls to a fifth at 80 % of the epochs and again at 90 %, as AAND trains."""
        return cls(learning_rate=learning_rate, milestones=(0.8, 0.9), decay=0.2)

    def rate(self, epoch: int, epochs: int) -> float:
        """Learning rate of an epoch (counted from 0)."""
        passed = sum(epoch >= int(epochs * fraction) for fraction in self.milestones)
        return float(self.learning_rate * self.decay**passed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One training phase of a method.

    Attributes:
        name: shown in progress and logs.
        epochs: passes over the training images.
        synthesis: how anomalies are planted; None trains on the images as they are.
        modules: what trains; everything else stays frozen and in eval mode.
        loss: gives ``loss``, the sum that is minimised, and its parts for the log.
        optimizer: of this stage.
        frozen: what the loss takes of the images as they are, in `Batch.features`; None when it takes nothing.
        detects: whether the method's maps mean something during this stage (the last stage always does).
        untouched_by: knobs that change neither this stage's training nor the weights that its modules start from.
            Trials that differ in these alone share the result of a first stage; a knob that is not named here counts
            as one that takes part, so that forgetting one costs time and nothing else.
        examine: called when the stage is over, in eval mode, with held-out normal images on which the stage's anomalies
            are planted, and once more with other kinds of them; what it finds is logged and kept, and chooses nothing.
            None: nothing is looked at.
    """

    name: str
    epochs: int
    synthesis: SynthesisConfig | None
    modules: Sequence[nn.Module]
    loss: Callable[[Batch], dict[str, Tensor]]
    optimizer: OptimizerConfig
    frozen: Frozen | None = None
    detects: bool = True
    untouched_by: tuple[str, ...] = ()
    examine: Callable[[Iterable[Batch]], Findings] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OnePass:
    """A training phase without gradient steps: the method looks at every training image once, and keeps what it likes.

    The images come in order, as they are, in eval mode and in full float32; what is drawn at random comes from torch's
    generators. What is kept of them belongs in buffers of ``modules``; one whose length follows from the images is
    named by `Method.lengths`.

    Attributes:
        name: shown in progress and logs.
        modules: whose buffers change; everything else stays as it is.
        take: is given batches of the images, made as they are asked for, and how many images there are; gives what is
            to be logged.
        frozen: what it takes of the images, in `Shown.features`; None when it takes nothing.
        detects: whether the method's maps mean something after it (after the last stage they always do).
        untouched_by: as of a `Stage`.
        epochs: always one.
        synthesis: never any.
    """

    name: str
    modules: Sequence[nn.Module]
    take: Callable[[Iterable[Shown], int], dict[str, float]]
    frozen: Frozen | None = None
    detects: bool = True
    untouched_by: tuple[str, ...] = ()
    epochs: ClassVar[int] = 1
    synthesis: ClassVar[None] = None


Phase = Stage | OnePass
"""What a method is trained by: gradient steps over some epochs, or one look at the images."""


class Method(nn.Module, ABC):
    """A detector in the making: teacher, student and the way they are compared."""

    teacher: Teacher

    @abstractmethod
    def stages(self) -> Sequence[Phase]:
        """Training phases, in order."""

    @abstractmethod
    def anomaly_map(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """``[B, 3, H, W]`` normalised images to ``[B, H, W]`` maps, higher where more anomalous.

        Args:
            images: as they are.
            features: what `frozen` gives of them, where the caller has it; never given where there is none.
        """

    def frozen(self) -> Frozen | None:
        """What `anomaly_map` takes of images from modules that no detecting stage trains; default nothing."""
        return None

    def frozen_teacher(self) -> Frozen:
        """The teacher's plain features."""
        return Frozen(name="teacher", compute=self.teacher, modules=(self.teacher,))

    def image_score(self, maps: Tensor) -> Tensor:
        """``[B, H, W]`` maps to ``[B]`` scores: the maximum."""
        return maps.flatten(1).amax(dim=1)

    @property
    def settles_on(self) -> Literal["selection", "train"]:
        """Of which part `settle` is shown images.

        The threshold rests on the selection part's normal images. A number a level that is taken from them changes
        nothing that could be measured; whatever follows single images closely must not: these would score lower than
        images to come do, and more of those would alarm than is stated.
        """
        return "selection"

    def settle(self, normal: Iterable[Shown]) -> None:
        """Shows a few normal images of the part that `settles_on` names, for what a map must know of normal ones.

        Called in eval mode, whenever the weights have changed and are to be measured. What is learned of them belongs
        in buffers of a module, so that it is saved with the weights.

        Args:
            normal: batches of them, made as they are asked for.
        """

    def settled(self) -> dict[str, Any]:
        """What `settle` found, as JSON values for the manifest."""
        return {}

    def ignore_places(self) -> bool:
        """From now on no place of an image is taken to be a certain one, where `settle` had learned of places.

        For images that are seen as tiles by a model of whole images: no place of a tile is that place of the image.
        What is saved stays what it is.

        Returns:
            Whether maps change by it; default not.
        """
        return False

    def learned(self) -> Iterator[tuple[str, nn.Module]]:
        """The parts whose weights are saved: all but the teacher, whose weights are a blob of their own."""
        for name, module in self.named_children():
            if module is not self.teacher:
                yield name, module

    def learned_state(self) -> dict[str, Tensor]:
        """Names to tensors of everything that is not the teacher."""
        return {f"{part}.{key}": value for part, module in self.learned() for key, value in module.state_dict().items()}

    def lengths(self) -> dict[str, int]:
        """Tensors of `learned_state` whose first axis training makes as long as it needs, and the longest it may be.

        Such a buffer is empty when the method is built, and not when it is saved; all others have the shapes that
        follow from the configuration and the teacher.
        """
        return {}

    def retired_state(self) -> dict[str, Tensor]:
        """Names to tensors, on the meta device, that weights of an earlier kdzoo hold besides; nothing uses them."""
        return {}
