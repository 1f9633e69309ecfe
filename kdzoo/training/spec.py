"""What one trial is: everything that decides its outcome, as plain values. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from kdzoo.config import Config, knob
from kdzoo.data.depth import Intensity
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.data.placement import Resize
from kdzoo.data.roi import roi_of
from kdzoo.data.synthesis.registry import find_synthesis, textured_kinds
from kdzoo.data.texture_sets import TextureChoice
from kdzoo.data.tiling import LARGEST_SCALE, SMALLEST_SCALE, Tiling
from kdzoo.errors import ConfigError, UnknownNameError
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.registry import find_method
from kdzoo.metrics.names import OBJECTIVES
from kdzoo.training.augmentation import Augmentation

SIZE_STEP = 32
"""Input sizes are multiples of this: the bottleneck embedding works at 1/32 of the input."""

LARGEST_SEED = 2**32 - 1
"""What every random generator takes."""

_LATER = ("synthesis", "textures", "augment")
"""Options that the first documents lack: those of runs that do not use them must stay what they are."""


@dataclass(frozen=True, kw_only=True)
class RunOptions(Config):
    """How a trial runs, apart from the method's own knobs."""

    teacher: str = knob("wide_resnet50_2.tv_in1k", "the frozen backbone")
    image_size: int = knob(256, "side of the square input, a multiple of 32", low=64, high=2048)
    protocol: Literal["synthetic", "holdout", "test"] = knob("holdout", "what selection may look at")
    objective: str = knob("image_auroc", "the metric that selection maximises")
    split_seed: int = knob(0, "seed of the split into selection and report parts", low=0, high=LARGEST_SEED)
    seed: int = knob(0, "seed of weights, batches and synthetic anomalies", low=0, high=LARGEST_SEED)
    evaluations: int = knob(20, "how often a detecting stage is evaluated, evenly spaced", low=1, high=10_000)
    false_positive_rate: float = knob(0.01, "share of normal images that the threshold lets alarm", low=0.0, high=0.5)
    calibration_folds: int = knob(
        0,
        "models trained again to calibrate on the train images, each on those outside of a fold; 0: none",
        low=0,
        high=50,
    )
    aupro_limit: float = knob(0.3, "false-positive rate up to which AUPRO integrates", above=0.0, high=1.0)
    skip_unreadable: bool = knob(False, "leave unreadable images out instead of stopping")
    ema: float = knob(
        0.0, "decay of a moving average of the weights, which is measured and kept; 0: none", low=0.0, high=0.9999
    )
    precision: Literal["auto", "float32", "bfloat16"] = knob(
        "auto", "of products in training; auto: float32, as TF32 on a GPU"
    )
    intensity: str = knob("full", "what of more than 8 bits is black and white: full, auto or LOW,HIGH")
    resize: Literal["stretch", "pad", "tile"] = knob(
        "stretch", "how images are brought to the square: pad keeps the ratio of their sides, tile cuts them"
    )
    overlap: int = knob(32, "of tiles, pixels", low=0)
    scale: float = knob(1.0, "of images before they are cut into tiles", low=SMALLEST_SCALE, high=LARGEST_SCALE)
    roi: str = knob("", "the region of interest, as kdzoo.data.roi writes it; empty: the whole image")
    foreground: str = knob("auto", "where anomalies may be planted: auto, whole, light, dark or masks:FOLDER")
    synthesis: str = knob("", "the kind of anomalies that is planted for training; empty: the method's own")
    augment: str = knob("", "how train images are changed, such as hflip,rotate,brightness=0.1; empty: not at all")
    textures: str = knob("", "what these are filled with: dtd:FOLDER or folder:FOLDER; empty: textures by formula")

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> Self:
        """Options as some kdzoo has written them down: what an earlier one could not ask for is what it did.

        Raises:
            ConfigError: an unknown key or a value out of range.
        """
        return cls.from_mapping({"precision": "float32", **values})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % SIZE_STEP:
            near = max(64, round(self.image_size / SIZE_STEP) * SIZE_STEP)
            raise ConfigError(
                f"image size {self.image_size} is not a multiple of {SIZE_STEP}", hint=f"the nearest is {near}"
            )
        if self.objective not in OBJECTIVES:
            raise UnknownNameError("objective", self.objective, OBJECTIVES)
        if self.calibration_folds == 1:
            raise ConfigError("calibration_folds = 1 would leave no images to train on", hint="0 for none, or 2 to 50")
        ForegroundRule.parse(self.foreground)
        object.__setattr__(self, "augment", str(Augmentation.parse(self.augment)))
        if self.synthesis:
            find_synthesis(self.synthesis)
        if self.textures:
            TextureChoice.parse(self.textures)
        Intensity.parse(self.intensity)
        roi_of(self.roi, "")
        _ = self.tiling

    def as_dict(self) -> dict[str, Any]:
        """Key to value; without those that earlier versions did not know, where these are as they did it."""
        return {
            key: value
            for key, value in super().as_dict().items()
            if key not in _LATER or value != type(self).__dataclass_fields__[key].default
        }

    def published(self) -> dict[str, Any]:
        """Key to value as a published document has them: folders of this machine are told by their names alone."""
        told = {"foreground": ForegroundRule.parse(self.foreground).label}
        if self.textures:
            told["textures"] = TextureChoice.parse(self.textures).label
        return self.as_dict() | told

    @property
    def augmentation(self) -> Augmentation:
        """How train images are changed."""
        return Augmentation.parse(self.augment)

    def check_augment(self, method: str, config: MethodConfig) -> None:
        """Checks that changed images mean something to a method.

        Raises:
            ConfigError: it looks at the train images once, as they are.
        """
        if self.augment and not config.epoch_keys():
            raise ConfigError(
                f"'{method}' looks at the train images once, as they are, so --augment says nothing to it",
                hint="leave --augment out",
            )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the options before training begins."""
        if not self.augment:
            return ()
        return ("train images are changed each time anew, so their features are computed at every step and not kept",)

    @property
    def about_planting(self) -> tuple[str, ...]:
        """Which of ``--synthesis`` and ``--textures`` were given."""
        return tuple(f"--{name}" for name in ("synthesis", "textures") if getattr(self, name))

    def check_planting(self, method: str, config: MethodConfig) -> None:
        """Checks that what is asked of planted anomalies means something to a method, as far as its knobs tell.

        Raises:
            ConfigError: it plants none, or none that are filled with textures.
        """
        own = config.planted()
        if not self.about_planting or own is None:
            return
        if not own:
            raise ConfigError(
                f"'{method}' learns from no planted anomalies as it is configured, so {self.about_planting[0]} says "
                "nothing to it",
                hint=f"leave {self.about_planting[0]} out",
            )
        kind = find_synthesis(self.synthesis or own)
        if self.textures and not kind.textured:
            textured = " or ".join(textured_kinds())
            raise ConfigError(
                f"--textures fills anomalies, and '{kind.name}', which '{method}' would learn from, fills none",
                hint=f"add --synthesis {textured}, or leave --textures out",
            )

    @property
    def to_square(self) -> Resize:
        """How images that are seen whole are brought to the square."""
        return "pad" if self.resize == "pad" else "stretch"

    @property
    def tiling(self) -> Tiling | None:
        """How images are cut; None where each is seen whole."""
        if self.resize == "tile":
            return Tiling(side=self.image_size, overlap=self.overlap, scale=self.scale)
        return None


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """One trial: a method with its configuration, on one category, under given options."""

    method: str
    config: MethodConfig
    dataset: str
    category: str
    options: RunOptions

    @property
    def category_name(self) -> str:
        """``dataset/category``."""
        return f"{self.dataset}/{self.category}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "method": self.method,
            "config": self.config.as_dict(),
            "dataset": self.dataset,
            "category": self.category,
            "options": self.options.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `as_dict`, checked like any other construction."""
        return cls(
            method=values["method"],
            config=find_method(values["method"]).config.from_mapping(values["config"]),
            dataset=values["dataset"],
            category=values["category"],
            options=RunOptions.from_record(values["options"]),
        )
