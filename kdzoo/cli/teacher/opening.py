"""The zoo's teachers, as the commands of `kdzoo teacher` open them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.cli.notes import tell_note

if TYPE_CHECKING:
    from kdzoo.settings import Settings
    from kdzoo.teacher_zoo import TeacherZoo


def open_teacher_zoo(settings: Settings, zoo: str | None) -> TeacherZoo:
    """The teachers of the zoo that ``--zoo`` or the settings name; what it warns of is a note on stderr."""
    from kdzoo.teacher_zoo import TeacherZoo

    return TeacherZoo.of(settings, zoo, warn=tell_note)
