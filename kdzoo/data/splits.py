"""Selection protocols: which images train, which choose between trials, and which are only ever reported on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from kdzoo.data.samples import GOOD, CategoryIndex, Sample
from kdzoo.errors import ConfigError, ProtocolError, UnknownNameError

Protocol = Literal["synthetic", "holdout", "test"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
"""The names of the protocols, the most honest first."""

_Samples = tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The images of one category, by what they may be used for. Every part is ordered by id.

    Attributes:
        protocol: what selection looks at.
        split_seed: seed of the split.
        train: normal images to learn from.
        select: images whose metrics choose between epochs and trials.
        report: images whose metrics are shown in the end; empty when there is nothing to report on.
        synthetic_select: select holds only normal images, in which anomalies are still to be planted.
        digest: sha256 hex over protocol, seed and the ids of each part; equal digests mean equal parts.
        notes: what a person should know of this split.
    """

    protocol: Protocol
    split_seed: int
    train: tuple[Sample, ...]
    select: tuple[Sample, ...]
    report: tuple[Sample, ...]
    synthetic_select: bool
    digest: str
    notes: tuple[str, ...]


def split(index: CategoryIndex, protocol: Protocol, *, seed: int = 0, holdout_fraction: float = 0.2) -> Parts:
    """Splits a category by a protocol.

    The parts follow from the seed and the samples' ids alone: not from the order of files, where they lie, or the
    machine. A data set's own validation images select in place of held-out ones: normal ones under ``synthetic`` and
    ``holdout``, defective ones under ``holdout``.

    Args:
        index: the category.
        protocol: ``synthetic`` (a share of the normal training images selects, the whole test part reports),
            ``holdout`` (half of each defect type of the test part selects, half reports) or ``test`` (the whole test
            part selects and reports).
        seed: another seed gives another split.
        holdout_fraction: share of the training images that selects where normal images are held out of them, in
            (0, 1).

    Raises:
        UnknownNameError: no such protocol.
        ConfigError: ``holdout_fraction`` is out of range.
        ProtocolError: the category has not the images that the protocol needs.
    """
    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", str(protocol), PROTOCOLS)
    if not 0 < holdout_fraction < 1:
        raise ConfigError(f"holdout_fraction = {holdout_fraction!r} is out of range", hint="allowed: > 0, < 1")
    train, test = _ordered(index.of_split("train")), _ordered(index.of_split("test"))
    anomalous = next((sample.id for sample in train if sample.label), None)
    if anomalous is not None:
        raise ProtocolError(f"{index.name}: the training image {anomalous} is anomalous; only normal ones can train")
    if not train:
        raise ProtocolError(f"{index.name} has no training images")

    validation = _ordered(index.of_split("validation"))
    notes = list(index.notes)
    if protocol == "synthetic":
        train, select = _synthetic(index.name, train, validation, seed, holdout_fraction, notes)
        report = test
        if len({sample.label for sample in test}) < 2:
            notes.append("the test part lacks normal or defective images: there is little or nothing to report")
    elif protocol == "holdout":
        train, select, report = _holdout(index.name, (train, validation, test), seed, holdout_fraction, notes)
    else:
        select = report = test
        _require_both_labels(index.name, protocol, {"select": test})
        notes.append("selected and reported on the same images: the figures are optimistic")
    unused = len({sample.id for sample in validation} - {sample.id for sample in select})
    if unused:
        notes.append(f"{unused} validation images are not used by this protocol")
    return Parts(
        protocol=protocol,
        split_seed=seed,
        train=train,
        select=select,
        report=report,
        synthetic_select=protocol == "synthetic",
        digest=_digest(protocol, seed, {"train": train, "select": select, "report": report}),
        notes=tuple(notes),
    )


def fold_of(train: Sequence[Sample], number: int, folds: int, *, seed: int = 0) -> tuple[_Samples, _Samples]:
    """Train images without a fold of them, and that fold; every image is in one fold, and the folds are alike in size.

    Args:
        train: the images.
        number: of the fold, from 0.
        folds: how many there are, 2 up to the number of images.
        seed: of the split.
    """
    shuffled = _shuffled(train, seed)
    held_out = {sample.id for sample in shuffled[number::folds]}
    return (
        tuple(sample for sample in train if sample.id not in held_out),
        tuple(sample for sample in train if sample.id in held_out),
    )


def _synthetic(
    name: str, train: _Samples, validation: _Samples, seed: int, fraction: float, notes: list[str]
) -> tuple[_Samples, _Samples]:
    """The images to train on, and normal ones to plant anomalies in."""
    normal = tuple(sample for sample in validation if not sample.label)
    if not normal:
        return _held_out(name, train, seed, fraction)
    notes.append("the data set's own normal validation images select, so that all training images train")
    return train, normal


def _holdout(
    name: str, parts: tuple[_Samples, _Samples, _Samples], seed: int, fraction: float, notes: list[str]
) -> tuple[_Samples, _Samples, _Samples]:
    """The images to train on, to select and to report on, of those of the data set's train, validation and test part.

    Where validation has images of a label, they select, and all test images of that label report. Where it has only
    defective ones, normal ones are held out of train, so that the test part stays whole.
    """
    train, validation, test = parts
    normal, defective = (any(sample.label == label for sample in validation) for label in (0, 1))
    select = list(validation)
    if defective and not normal:
        train, held_out = _held_out(name, train, seed, fraction)
        select += held_out
        notes.append("the data set's own defective validation images select, with normal ones held out of training")
    elif normal or defective:
        which = "" if defective else " normal"
        notes.append(f"the data set's own{which} validation images select, and all{which} test images report")
    covered = {0: normal or defective, 1: defective}
    halved, single = _halves([sample for sample in test if not covered[sample.label]], seed)
    select += halved
    chosen = {sample.id for sample in halved}
    report = [sample for sample in test if sample.id not in chosen]
    if single:
        notes.append(f"one test image each, so that only one side has any: {', '.join(single)}")
    _require_both_labels(name, "holdout", {"select": select, "report": report})
    return train, _ordered(select), _ordered(report)


def _held_out(name: str, train: _Samples, seed: int, fraction: float) -> tuple[_Samples, _Samples]:
    """The images that go on training, and those held out of it: at least one each."""
    if len(train) < 2:
        raise ProtocolError(
            f"{name} has {len(train)} training image; 2 are needed where some are held out of training",
            hint="add normal images to train/good",
        )
    count = min(max(round(len(train) * fraction), 1), len(train) - 1)
    shuffled = _shuffled(train, seed)
    return _ordered(shuffled[count:]), _ordered(shuffled[:count])


def _halves(test: Sequence[Sample], seed: int) -> tuple[list[Sample], list[str]]:
    """The selecting half of test images, with half of every defect type, and the defect types of a single image.

    The odd image of a defect type goes to the two sides in turn, defects first, so that neither the defective images
    nor all images differ by more than one between the sides.
    """
    select: list[Sample] = []
    single: list[str] = []
    report_gets_extra = True
    for defect_type in [*sorted({sample.defect_type for sample in test} - {GOOD}), GOOD]:
        members = _shuffled([sample for sample in test if sample.defect_type == defect_type], seed)
        middle = len(members) // 2
        if len(members) % 2:
            middle += not report_gets_extra
            report_gets_extra = not report_gets_extra
        if len(members) == 1 and defect_type != GOOD:
            single.append(defect_type)
        select += members[:middle]
    return select, single


def _require_both_labels(name: str, protocol: Protocol, parts: Mapping[str, Sequence[Sample]]) -> None:
    for part, samples in parts.items():
        for label, kind in ((0, "normal"), (1, "defective")):
            if not any(sample.label == label for sample in samples):
                raise ProtocolError(
                    f"{name}: the {protocol} protocol leaves no {kind} test images to {part}",
                    hint="use the synthetic protocol, or add test images",
                )


def _ordered(samples: Iterable[Sample]) -> _Samples:
    return tuple(sorted(samples, key=lambda sample: sample.id))


def _shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """Ordered by a hash of seed and id: as good as random, and the same everywhere and in every version."""

    def rank(sample: Sample) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}\0{sample.id}".encode()).digest(), sample.id

    return sorted(samples, key=rank)


def _digest(protocol: Protocol, seed: int, parts: Mapping[str, Sequence[Sample]]) -> str:
    digest = hashlib.sha256(f"{protocol}\0{seed}\n".encode())
    for part, samples in parts.items():
        digest.update(f"{part}\0{len(samples)}\n".encode())
        for sample in samples:
            digest.update(f"{sample.id}\n".encode())
    return digest.hexdigest()
