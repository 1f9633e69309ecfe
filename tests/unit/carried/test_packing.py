"""A packed detector: settled bytes, and nothing but these is read."""

import hashlib
import io
import pickle
import subprocess
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.carried.packing import SUMS_FILE, pack, unpack
from kdzoo.errors import CheckpointError, StorageError

SIGNATURES = [f"signature-{digit * 32}.json" for digit in "a0"]
CONTENT = {
    "weights.safetensors": bytes(range(256)) * 5,
    "cases.png": b"",
    "detector.json": b'{"schema": 1}',
    "teacher.safetensors": b"t" * 512,
    SIGNATURES[0]: b"one",
    "manifest.json": b"{}",
    SIGNATURES[1]: b"two",
}
ORDER = [
    "manifest.json",
    *sorted(SIGNATURES),
    "detector.json",
    "weights.safetensors",
    "teacher.safetensors",
    "cases.png",
]

SETTLED = "88943315a23ce08e2c2b2252dd41783f2f18d603a572404eef479a5710db03e8"


@pytest.fixture
def packed(tmp_path):
    pack(CONTENT, tmp_path / "packed", digests={})
    return tmp_path / "packed"


def unpacked(file, folder):
    folder.mkdir()
    digests = unpack(file, folder)
    assert digests == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def tar(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for name, data, more in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in more.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_there_and_back(packed, tmp_path):
    assert unpacked(packed, tmp_path / "out") == CONTENT


def test_the_same_files_give_the_same_bytes_whatever_their_order_and_time(packed, tmp_path):
    files = {}
    for name in sorted(CONTENT, reverse=True):
        files[name] = tmp_path / name
        files[name].write_bytes(CONTENT[name])
    pack(files, tmp_path / "again", digests={})
    assert (tmp_path / "again").read_bytes() == packed.read_bytes()
    assert hashlib.sha256(packed.read_bytes()).hexdigest() == SETTLED, "these bytes are a promise"


def test_other_programs_read_it(packed, tmp_path):
    with tarfile.open(packed) as file:
        assert file.getnames() == [*ORDER, SUMS_FILE]
        assert all(member.isreg() and (member.mtime, member.uid, member.mode) == (0, 0, 0o644) for member in file)
    (tmp_path / "tar").mkdir()
    subprocess.run(["tar", "xf", packed, "-C", tmp_path / "tar"], check=True)
    done = subprocess.run(["sha256sum", "-c", SUMS_FILE], cwd=tmp_path / "tar", capture_output=True, text=True)
    assert (done.returncode, done.stdout.count(": OK")) == (0, len(CONTENT))


def test_a_file_that_is_another_is_not_packed(tmp_path):
    (tmp_path / "out").write_bytes(b"before")
    with pytest.raises(CheckpointError, match=r"'detector\.json' is not the one"):
        pack(CONTENT, tmp_path / "out", digests={"detector.json": "0" * 64})
    with pytest.raises(StorageError, match=r"cannot read cases\.png"):
        pack(CONTENT | {"cases.png": tmp_path / "nowhere"}, tmp_path / "out", digests={})
    assert (tmp_path / "out").read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_one_altered_byte_anywhere_is_found(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("altered")
    pack(CONTENT, folder / "packed", digests={})
    content = bytearray((folder / "packed").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "packed").write_bytes(content)
    with pytest.raises(CheckpointError, match="is no whole packed detector"):
        unpacked(folder / "packed", folder / "out")


def test_every_block_that_is_cut_off_is_missed(packed, tmp_path):
    content = packed.read_bytes()
    for length in {*range(0, len(content), 512), *range(len(content) - 3, len(content)), 1, 700}:
        (tmp_path / "short").write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="is no whole packed detector"):
            unpacked(tmp_path / "short", tmp_path / f"out{length}")
    (tmp_path / "long").write_bytes(content + b"\0")
    with pytest.raises(CheckpointError, match="something follows its end"):
        unpacked(tmp_path / "long", tmp_path / "out")


@pytest.mark.parametrize(
    "members",
    [
        [("../detector.json", b"x", {})],
        [("/tmp/detector.json", b"x", {})],
        [("sub/detector.json", b"x", {})],
        [("detector.json", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})],
        [("detector.json", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
        [("detector.json", b"", {"type": tarfile.FIFOTYPE})],
        [("detector.json", b"", {"type": tarfile.DIRTYPE})],
        [("weights.pkl", pickle.dumps([1]), {})],
        [("detector.json", b"x", {"mode": 0o4755})],
        [("detector.json", b"x", {"mtime": 5})],
        [("detector.json", b"x", {"uname": "root"})],
        [("detector.json", b"x", {}), ("detector.json", b"y", {})],
        [("weights.safetensors", b"x", {}), ("detector.json", b"y", {})],
        [("signature-x.json", b"x", {})],
        [(f"signature-{number:032x}.json", b"", {}) for number in range(300)],
        [("signature-" + "a" * 32 + ".json", b"x" * 5000, {})],
        [("weights.safetensors", b"x", {}), (SUMS_FILE, b"", {})],
        [],
    ],
)
def test_what_pack_does_not_write_is_not_read(tmp_path, members):
    (tmp_path / "odd").write_bytes(tar(*members))
    with pytest.raises(CheckpointError):
        unpacked(tmp_path / "odd", tmp_path / "out")
    assert not any(path.is_symlink() for path in (tmp_path / "out").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd", "out"]


@pytest.mark.parametrize("lacking", ["detector.json", "weights.safetensors", "teacher.safetensors"])
def test_a_detector_has_three_files(tmp_path, lacking):
    pack({name: data for name, data in CONTENT.items() if name != lacking}, tmp_path / "packed", digests={})
    with pytest.raises(CheckpointError, match=f"it has no {lacking}"):
        unpacked(tmp_path / "packed", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"x" * 5000, pickle.dumps({"a": 1}), b"\x89PNG" + bytes(2000)])
def test_another_file_is_none(tmp_path, content):
    (tmp_path / "photo.png").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"'.*photo\.png' is no whole packed detector"):
        unpacked(tmp_path / "photo.png", tmp_path / "out")
