"""Facts about the public data sets: what they are called, hold and allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kdzoo.data.layouts.registry import Layout
from kdzoo.data.splits import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedCounts:
    """How many images a data set should have, by the split that kdzoo reads them in; over all its categories.

    Attributes:
        train: normal images to train on.
        validation: images of the data set's own validation part.
        test: all test images.
        test_normal: the normal ones among them, None when not known.
        test_defective: the defective ones among them, None when not known.
    """

    train: int
    validation: int = 0
    test: int
    test_normal: int | None = None
    test_defective: int | None = None


EVERYWHERE: Final = "lite0"
"""The teacher that needs no model hub: ImageNet weights in a package that kdzoo depends on."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a data set before it is opened.

    Attributes:
        name: as in ``<method>/<dataset>/<category>``.
        title: for people.
        categories: all categories it has, ordered; None when that is whatever lies in its folder.
        on_request: further categories, which no command takes unless they are named; none of ``categories``.
        licence: of the images, empty when unknown.
        homepage: where it comes from, empty when unknown.
        default_protocol: the selection protocol when none is asked for.
        default_teacher: the teacher's name when none is asked for; the papers' weights, whatever timm's default is.
        default_image_size: side that images are resized to, pixels.
        layout: how its folders are laid out, a key of `kdzoo.data.layouts.registry.READERS`.
        default_trials: of a sweep, a category, when no number is asked for.
        expected: how many images ``categories`` should have, None when that is not known.
    """

    name: str
    title: str
    categories: tuple[str, ...] | None
    on_request: tuple[str, ...] = ()
    licence: str
    homepage: str
    default_protocol: Protocol
    default_teacher: str = "wide_resnet50_2.tv_in1k"
    default_image_size: int = 256
    layout: Layout
    default_trials: int = 16
    expected: ExpectedCounts | None = None

    @property
    def all_categories(self) -> tuple[str, ...]:
        """All categories it has, those on request included; none where that is whatever lies in its folder."""
        return (*(self.categories or ()), *self.on_request)


_DEMO = DatasetInfo(
    name="demo",
    title="Demo: products drawn by formula",
    categories=None,
    licence="Apache-2.0",
    homepage="",
    default_protocol="holdout",
    default_teacher=EVERYWHERE,
    default_image_size=128,
    layout="mvtec",
    default_trials=3,
)

_MVTEC = DatasetInfo(
    name="mvtec",
    title="MVTec AD",
    categories=(
        *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw"),
        *("tile", "toothbrush", "transistor", "wood", "zipper"),
    ),
    licence="CC BY-NC-SA 4.0",
    homepage="https://www.mvtec.com/company/research/datasets/mvtec-ad",
    default_protocol="holdout",
    layout="mvtec",
    expected=ExpectedCounts(train=3629, test=1725, test_normal=467, test_defective=1258),
)

_VISA = DatasetInfo(
    name="visa",
    title="VisA",
    categories=(
        *("candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1", "macaroni2"),
        *("pcb1", "pcb2", "pcb3", "pcb4", "pipe_fryum"),
    ),
    # Its README says so; the archive's own LICENSE-DATASET decides, and other sources add non-commercial terms.
    licence="CC BY 4.0 (see its LICENSE-DATASET)",
    homepage="https://github.com/amazon-science/spot-diff",
    default_protocol="holdout",
    layout="visa",
    expected=ExpectedCounts(train=8659, test=2162, test_normal=962, test_defective=1200),
)

_MVTEC3D = DatasetInfo(
    name="mvtec3d",
    title="MVTec 3D-AD, colour images",
    categories=(*("bagel", "cable_gland", "carrot", "cookie", "dowel", "foam", "peach", "potato", "rope", "tire"),),
    licence="CC BY-NC-SA 4.0",
    homepage="https://www.mvtec.com/company/research/datasets/mvtec-3d-ad",
    default_protocol="holdout",
    layout="mvtec3d",
    expected=ExpectedCounts(train=2656, validation=294, test=1197),
)

_KSDD2 = DatasetInfo(
    name="ksdd2",
    title="KolektorSDD2",
    categories=("surface",),
    licence="CC BY-NC-SA 4.0",
    homepage="https://www.vicos.si/resources/kolektorsdd2/",
    default_protocol="holdout",
    layout="ksdd2",
    # The 246 defective images of its train folder are read as validation images.
    expected=ExpectedCounts(train=2085, validation=246, test=1004, test_normal=894, test_defective=110),
)

_ELPV = DatasetInfo(
    name="elpv",
    title="ELPV: solar cells by electroluminescence",
    categories=("mono", "poly"),
    on_request=("mono-all", "poly-all"),
    licence="CC BY-NC-SA 4.0",
    homepage="https://github.com/zae-bayern/elpv-dataset",
    default_protocol="holdout",
    # Where only a package index is within reach, the images and this teacher come from there.
    default_teacher=EVERYWHERE,
    layout="elpv",
    # Of 2,624 cells; the 401 others have the probabilities 1/3 and 2/3.
    expected=ExpectedCounts(train=1206, test=1017, test_normal=302, test_defective=715),
)

CATALOG: Mapping[str, DatasetInfo] = MappingProxyType(
    {info.name: info for info in (_DEMO, _MVTEC, _VISA, _MVTEC3D, _KSDD2, _ELPV)}
)
"""The data sets known by name."""
