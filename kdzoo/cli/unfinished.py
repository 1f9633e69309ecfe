"""The data set and the teacher of an unfinished training, found again for `kdzoo train --resume`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from kdzoo.cli.datasets import open_or_download
from kdzoo.cli.notes import tell_note

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.settings import Settings
    from kdzoo.teachers.backbone import Teacher
    from kdzoo.training.unfinished import TrainingPlan


def open_again(before: TrainingPlan, settings: Settings) -> Dataset:
    """The data set of a training: the folder where it was, or if that is gone, what bears its name by now.

    Its name alone would not do: a folder given by its path may bear a name that stands for another place.

    Raises:
        KdzooError: as `kdzoo.data.catalog.open_dataset`; it is in neither place.
    """
    from kdzoo.data.catalog import CATALOG, open_folder
    from kdzoo.data.files import slug
    from kdzoo.data.registered import registered

    name, root, own = before.spec.dataset, Path(before.root), registered(settings)
    if root.is_dir() and root != own.get(name, settings.data / name):
        found = open_folder(slug(root.name) or name, root)
    else:
        is_known = name == "demo" or name in CATALOG or name in own
        found = open_or_download(name if is_known else before.root, settings, download=False)
    return dataclasses.replace(found, info=dataclasses.replace(found.info, name=name))


def teacher_again(before: TrainingPlan, folder: Path, settings: Settings, *, zoo: str | None) -> Teacher:
    """The teacher of a training: the one that its folder keeps, else by its name.

    Raises:
        CheckpointError: the folder's is damaged.
        KdzooError: as `kdzoo.teacher_zoo.obtain_teacher`.
    """
    from kdzoo.detector_files import TEACHER_FILE
    from kdzoo.rebuilding import kept_teacher
    from kdzoo.teacher_zoo import obtain_teacher

    kept = before.kept_teacher
    if kept is None:
        return obtain_teacher(before.spec.options.teacher, settings, zoo=zoo, note=tell_note)
    return kept_teacher(kept.name, folder / TEACHER_FILE, sha256=before.teacher, mean=kept.mean, std=kept.std)
