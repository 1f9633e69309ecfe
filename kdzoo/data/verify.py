"""A data set looked at file by file: is everything there, can it be read, and does it say one thing.

Every image and every mask is decoded, on all cores. What is wrong becomes a `Problem` that names the file; what is
only worth knowing becomes a note.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from kdzoo.data.catalog import Dataset
from kdzoo.data.cores import usable_cores
from kdzoo.data.depth import dark_note
from kdzoo.data.files import image_files, printable
from kdzoo.data.images import read_image, read_with_peak
from kdzoo.data.layouts.registry import Layout
from kdzoo.data.mask_files import MaskLook, look_at_mask, read_full_mask
from kdzoo.data.samples import CategoryIndex, Sample
from kdzoo.data.verify_folders import SpareMask, folders_below, spare_masks, unpaired
from kdzoo.data.verify_masks import mask_notes
from kdzoo.errors import DatasetError, ImageError

ProblemKind = Literal[
    "layout", "missing category", "count", "unreadable", "mask", "empty mask", "missing mask", "mask of a normal image",
    "mask without image", "leak", "contradiction",
]  # fmt: skip
"""``leak``: the same bytes train and test. ``contradiction``: the same bytes are normal and defective."""

Progress = Callable[[int, int], None]
_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: of what sort.
        file: which file, relative to the category's folder where it lies there; empty for a data set or category.
        text: what is wrong, in words.
    """

    kind: ProblemKind
    file: str
    text: str


@dataclass(frozen=True, kw_only=True)
class CategoryCheck:
    """What was found in one category.

    Attributes:
        category: its name.
        images: split and label to number of images: ``train``, ``validation``, ``test_normal``, ``test_defective``.
        masks: how many defective images have one.
        fingerprint: of the index; None when there is none, for the layout is broken or files went away.
        problems: ordered by file.
        notes: what is worth knowing but not wrong.
    """

    category: str
    images: dict[str, int] = field(default_factory=dict)
    masks: int = 0
    fingerprint: str | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DatasetCheck:
    """What was found in a data set.

    Attributes:
        dataset: its name.
        root: its folder.
        categories: those that were looked at.
        problems: of the data set as a whole.
        notes: what is worth knowing of it but not wrong.
    """

    dataset: str
    root: Path
    categories: tuple[CategoryCheck, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many problems there are in all."""
        return len(self.problems) + sum(len(each.problems) for each in self.categories)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What reading one image and its mask gave: problems, the digest if asked for, the peak of 16 bits, its mask."""

    problems: tuple[Problem, ...]
    digest: str | None = None
    peak: int | None = None
    mask: MaskLook | None = None


def verify_dataset(
    dataset: Dataset, categories: Sequence[str] | None = None, *, progress: Progress | None = None
) -> DatasetCheck:
    """Opens and decodes every image and mask of a data set.

    Args:
        dataset: an opened data set.
        categories: only these; default all, and then counts are compared with the catalog's.
        progress: called with (files done, files in all).

    Raises:
        UnknownNameError: no such category.
        DatasetNotFoundError: a category asked for is not on this machine.
        DatasetError: the data set's folder cannot be listed.
    """
    chosen = [dataset.category_name(name) for name in categories or dataset.categories()]
    found = {name: _index(dataset, name) for name in dict.fromkeys(chosen)}
    total = sum(each.files for each in found.values())
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    with ThreadPoolExecutor(usable_cores()) as pool:
        checks = tuple(_check(name, each, pool, tick) for name, each in found.items())
    problems = [] if categories else list(_against_catalog(dataset, checks))
    notes = () if categories else dataset.left_out()
    return DatasetCheck(
        dataset=dataset.name, root=dataset.root, categories=checks, problems=tuple(problems), notes=notes
    )


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A category before its files are opened: its index, or why there is none and which images lie there."""

    root: Path
    index: CategoryIndex | None
    loose: tuple[Path, ...]
    spare: tuple[SpareMask, ...]
    problems: tuple[Problem, ...]

    @property
    def files(self) -> int:
        """How many steps reading it takes."""
        return (len(self.index.samples) if self.index else len(self.loose)) + len(self.spare)


def _index(dataset: Dataset, name: str) -> _Found:
    layout = dataset.info.layout
    try:
        index = dataset.category(name)
    except DatasetError as error:
        # The error becomes a finding: the other categories, and this one's images, are still looked at.
        return _without_index(layout, dataset.folder(name), error)
    spare, problems = _gathered(spare_masks(layout, index))
    return _Found(root=index.root, index=index, loose=(), spare=tuple(spare), problems=tuple(problems))


def _without_index(layout: Layout, root: Path, error: DatasetError) -> _Found:
    """What lies in a category whose layout is broken."""
    unmasked, problems = _gathered(unpaired(layout, root))
    inner, more = _gathered(folders_below(root))
    problems = [_layout_problem(error), *problems, *more]
    images: list[Path] = []
    for folder in inner:
        listed, more = _gathered(map(image_files, [folder]))
        images += [path for paths in listed for path in paths]
        problems += more
    problems += [
        Problem(kind="missing mask", file=_within(path, root), text="no mask is called like this defective image")
        for path in unmasked
    ]
    return _Found(root=root, index=None, loose=tuple(images), spare=(), problems=tuple(dict.fromkeys(problems)))


def _gathered(found: Iterable[_Item]) -> tuple[list[_Item], list[Problem]]:
    """What an iteration gives until a folder in it cannot be listed, which is then a problem."""
    items: list[_Item] = []
    try:
        items.extend(found)
    except DatasetError as error:
        return items, [_layout_problem(error)]
    return items, []


def _layout_problem(error: DatasetError) -> Problem:
    text = f"{error.message} ({error.hint})" if error.hint else error.message
    return Problem(kind="layout", file="", text=text)


def _check(name: str, found: _Found, pool: ThreadPoolExecutor, tick: Callable[[], None]) -> CategoryCheck:
    """Reads one category's files."""
    problems = list(found.problems)
    problems += _in_turn(pool, _check_spare, [(each, found.root) for each in found.spare], tick)
    if found.index is None:
        problems += _in_turn(pool, _check_loose, [(path, found.root) for path in found.loose], tick)
        return CategoryCheck(category=name, problems=_ordered(problems))
    samples = found.index.samples
    sizes = Counter(_size(sample.path) for sample in samples)
    # Files of different sizes differ, and most do.
    jobs = {pool.submit(_check_sample, sample, hashed=sizes[_size(sample.path)] > 1): sample for sample in samples}
    seen: dict[str, _Seen] = {}
    for job in as_completed(jobs):
        seen[jobs[job].id] = job.result()
        tick()
    problems += [problem for each in seen.values() for problem in each.problems]
    twins, doubled = _twins(samples, {identity: each.digest for identity, each in seen.items()})
    notes = [*found.index.notes, *doubled]
    # Of train images alone, as training would say: a bright defect does not make its normal parts readable.
    peaks = [each.peak for each in (seen[sample.id] for sample in samples if sample.split == "train") if each.peak]
    dark = dark_note(max(peaks)) if peaks else None
    notes += [] if dark is None else [dark]
    notes += mask_notes({sample.id: look for sample in samples if (look := seen[sample.id].mask) is not None})
    masks = sum(sample.mask_path is not None for sample in samples if sample.label)
    defective = [sample for sample in samples if sample.label]
    if masks:
        problems += [
            Problem(kind="missing mask", file=printable(sample.id), text="a defective image without a mask")
            for sample in defective
            if sample.mask_path is None
        ]
    elif defective:
        notes.append("no defective image has a mask: pixel metrics stay undefined")
    return CategoryCheck(
        category=name,
        images={
            "train": found.index.count("train"),
            "validation": found.index.count("validation"),
            "test_normal": found.index.count("test", 0),
            "test_defective": found.index.count("test", 1),
        },
        masks=masks,
        fingerprint=_fingerprint(found.index),
        problems=_ordered([*problems, *twins]),
        notes=tuple(notes),
    )


def _in_turn(
    pool: ThreadPoolExecutor,
    check: Callable[..., Problem | None],
    jobs: Iterable[tuple[Any, ...]],
    tick: Callable[[], None],
) -> list[Problem]:
    problems = []
    for job in as_completed([pool.submit(check, *arguments) for arguments in jobs]):
        found = job.result()
        if found is not None:
            problems.append(found)
        tick()
    return problems


def _check_sample(sample: Sample, *, hashed: bool) -> _Seen:
    name = printable(sample.id)
    try:
        image, peak = read_with_peak(sample.path)
    except ImageError as error:
        return _Seen(problems=(Problem(kind="unreadable", file=name, text=error.message),))
    digest = _digest(sample.path) if hashed else None
    if sample.mask_path is None:
        return _Seen(problems=(), digest=digest, peak=peak)
    problem: Problem | None = None
    look: MaskLook | None = None
    try:
        look = look_at_mask(sample.mask_path, image.size, image_path=sample.path)
    except ImageError as error:
        problem = Problem(kind="mask", file=name, text=error.message)
    else:
        mask = printable(sample.mask_path)
        if not look.marked and sample.label:
            problem = Problem(kind="empty mask", file=name, text=f"{mask} marks no pixel of this defective image")
        elif look.marked and not sample.label:
            problem = Problem(kind="mask of a normal image", file=name, text=f"{mask} marks a defect on it")
    return _Seen(problems=() if problem is None else (problem,), digest=digest, peak=peak, mask=look)


def _check_spare(spare: SpareMask, root: Path) -> Problem | None:
    """A mask that no sample names."""
    name = _within(spare.path, root)
    if not spare.of_normal:
        return Problem(kind="mask without image", file=name, text="no image is called like this mask")
    try:
        marks = read_full_mask(spare.path).any()
    except ImageError as error:
        return Problem(kind="mask", file=name, text=error.message)
    if not marks:
        return None
    return Problem(kind="mask of a normal image", file=name, text="marks a defect on a normal image")


def _check_loose(path: Path, root: Path) -> Problem | None:
    try:
        read_image(path)
    except ImageError as error:
        return Problem(kind="unreadable", file=_within(path, root), text=error.message)
    return None


def _twins(samples: Sequence[Sample], digests: dict[str, str | None]) -> tuple[list[Problem], list[str]]:
    """Images of the same bytes: problems where they lie in two splits or under two labels, else a note."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        digest = digests[sample.id]
        if digest is not None:
            groups[digest].append(sample)
    problems: list[Problem] = []
    doubled: list[tuple[Sample, Sample]] = []
    for group in groups.values():
        learned = next((sample for sample in group if sample.split == "train"), group[0])
        for other in group:
            if other is learned:
                continue
            file, twin = printable(other.id), printable(learned.id)
            if other.label != learned.label:
                text = f"the same bytes as {twin}, but one is normal and the other defective"
                problems.append(Problem(kind="contradiction", file=file, text=text))
            if other.split != learned.split:
                text = f"the same bytes as {twin}: it is in {learned.split} and in {other.split}"
                problems.append(Problem(kind="leak", file=file, text=text))
            elif other.label == learned.label:
                doubled.append((learned, other))
    notes = []
    if doubled:
        first, second = (printable(sample.id) for sample in doubled[0])
        notes.append(f"{len(doubled)} images are there twice within one split, first {first} and {second}")
    return problems, notes


def _against_catalog(dataset: Dataset, checks: Sequence[CategoryCheck]) -> Iterable[Problem]:
    """Categories and numbers of images that the data set should have."""
    missing = dataset.missing()
    for name in missing:
        yield Problem(kind="missing category", file="", text=f"the category '{name}' is not there")
    expected = dataset.info.expected
    if expected is None or missing or any(check.fingerprint is None for check in checks):
        return
    counts: Counter[str] = Counter()
    for check in checks:
        counts.update(check.images)
    counts["test"] = counts["test_normal"] + counts["test_defective"]
    for key in ("train", "validation", "test", "test_normal", "test_defective"):
        wanted = getattr(expected, key)
        if wanted is not None and counts[key] != wanted:
            text = f"{counts[key]} {key.replace('_', ' ')} images in all categories, expected {wanted}"
            yield Problem(kind="count", file="", text=text)


def _fingerprint(index: CategoryIndex) -> str | None:
    try:
        return index.fingerprint()
    except OSError:  # a file went away; reading it has said so
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reading it will say what is wrong
        return -1


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # it went away since it was read
        return None


def _within(path: Path, root: Path) -> str:
    return printable(path.relative_to(root) if path.is_relative_to(root) else path)


def _ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.file, problem.kind)))
