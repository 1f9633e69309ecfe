"""A detector outside of a zoo: what lies in a folder or a packed file belongs together, and somebody vouches for it."""

import json
import os
import shutil

import pytest
from helpers.trials import small_trial

import kdzoo
from kdzoo.carried.folder import look_at, write_folder
from kdzoo.carried.members import of_folder, of_release, unpack_whole
from kdzoo.carried.packing import pack
from kdzoo.detector_files import (
    DOCUMENT_FILE,
    MANIFEST_FILE,
    MEMBERS,
    PICTURE_FILE,
    TEACHER_FILE,
    WEIGHTS_FILE,
    signature_file,
)
from kdzoo.errors import CheckpointError, StorageError
from kdzoo.settings import Settings
from kdzoo.training.checkpoint import tensor_bytes
from kdzoo.training.outcome import conclude
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS, entry_name, open_registry, publish
from zoo_registry.errors import ManifestInvalidError, SignatureError
from zoo_registry.format.signing import SigningKey
from zoo_registry.zoo.key_files import write_key_pair

ENTRY = entry_name("rd", "toy/bottle")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of two signed releases and an unsigned one, and the files of the keys."""
    root = tmp_path_factory.mktemp("made")
    for name in ("ours", "theirs"):
        write_key_pair(SigningKey.generate(), root / name)
    given = {"KDZOO_HOME": str(root / "home"), "KDZOO_ZOO": str(root / "zoo")}
    for number in (1, 2, 3):
        trainer = small_trial(root / "trial", "rd", epochs=1)
        trainer.step()
        outcome = conclude(trainer)
        state = {name: tensor + number for name, tensor in outcome.method.learned_state().items() if tensor.ndim == 4}
        weights = tensor_bytes({**outcome.method.learned_state(), **state})
        document = {key: value for key, value in outcome.document.items() if key != "weights"}
        files = {WEIGHTS: weights, TEACHER: outcome.method.teacher.weights(), PICTURE: outcome.picture}
        signed = {} if number == 3 else {"KDZOO_SIGNING_KEY": str(root / "ours")}
        registry = open_registry(Settings.from_environment(given | signed))
        document["objective"] = {**document["objective"], "value": number / 10}
        document.pop("scores")
        assert publish(registry, ENTRY, document, files).release == number
        manifest = registry.resolve(ENTRY, number)
        files_of = {role: registry.fetch(manifest, role) for role in manifest.blobs}
        write_folder(manifest, files_of, registry.signatures.of(manifest), root / str(number))
        pack(
            of_release(manifest, files_of, registry.signatures.of(manifest)).members,
            root / f"{number}.kdzoo",
            digests={},
        )
    return root


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of the first release's folder, which must be signed by our key."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", str(made / "ours.pub"))
    return shutil.copytree(made / "1", tmp_path / "weave")


def opened(path):
    return kdzoo.open_detector(path, device="cpu")


def signature_in(folder):
    (path,) = folder.glob("signature-*.json")
    return path


def test_a_signed_release_opens_as_a_folder_and_as_a_file(made, folder):
    for path in (folder, made / "1.kdzoo"):
        assert opened(path).plan.label == "rd/toy/bottle"
    assert {path.name for path in folder.iterdir()} == {
        DOCUMENT_FILE, WEIGHTS_FILE, TEACHER_FILE, PICTURE_FILE, MANIFEST_FILE, signature_in(folder).name
    }  # fmt: skip
    assert signature_in(folder).name == signature_file(signature_in(folder).read_bytes())
    assert all(path.name in MEMBERS for path in folder.iterdir()) and "notes.txt" not in MEMBERS


def test_a_folder_gives_the_bytes_that_its_release_gives(made, folder, tmp_path):
    whole = of_folder(folder)
    pack(whole.members, tmp_path / "again", digests=whole.digests)
    assert (tmp_path / "again").read_bytes() == (made / "1.kdzoo").read_bytes() != (made / "2.kdzoo").read_bytes()
    (tmp_path / "out").mkdir()
    unpack_whole(tmp_path / "again", tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


@pytest.mark.parametrize(
    "taken",
    [
        (WEIGHTS_FILE,),
        (DOCUMENT_FILE,),
        (MANIFEST_FILE,),
        (DOCUMENT_FILE, WEIGHTS_FILE),
        (DOCUMENT_FILE, WEIGHTS_FILE, MANIFEST_FILE),
        (DOCUMENT_FILE, MANIFEST_FILE),
    ],
)
def test_what_is_of_another_release_is_refused(made, folder, tmp_path, taken):
    for name in taken:
        shutil.copy(made / "2" / name, folder / name)
    with pytest.raises((CheckpointError, SignatureError)):
        opened(folder)
    with pytest.raises((CheckpointError, SignatureError)):
        whole = of_folder(folder)
        pack(whole.members, tmp_path / "packed", digests=whole.digests)
    assert not (tmp_path / "packed").exists()


def test_a_changed_threshold_is_not_the_manifests(folder):
    document = json.loads((folder / DOCUMENT_FILE).read_bytes())
    document["calibration"]["false_positive_rate"] = 0.5
    (folder / DOCUMENT_FILE).write_text(json.dumps(document, indent=2))
    with pytest.raises(CheckpointError, match="is not the document of the manifest beside it"):
        opened(folder)


@pytest.mark.parametrize("required", [True, False])
def test_without_a_manifest_nobody_vouches(folder, monkeypatch, required):
    (folder / MANIFEST_FILE).unlink()
    if required:
        with pytest.raises(SignatureError, match="has no manifest"):
            opened(folder)
    else:
        monkeypatch.delenv("KDZOO_REQUIRE_SIGNATURE")
        assert opened(folder).plan.method == "rd"


@pytest.mark.parametrize("number", ["1", "3"])
def test_a_signature_of_a_trusted_key_is_asked_for(made, folder, monkeypatch, number):
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", str(made / ("theirs.pub" if number == "1" else "ours.pub")))
    for path in (made / number, made / f"{number}.kdzoo"):
        with pytest.raises(SignatureError, match=f"release {number} in '.*{path.name}' is not signed"):
            opened(path)
    monkeypatch.delenv("KDZOO_REQUIRE_SIGNATURE")
    assert opened(made / number).plan.method == opened(made / f"{number}.kdzoo").plan.method == "rd"


def test_a_signature_may_have_to_be_for_some_zoo(folder, monkeypatch):
    zoo = json.loads(signature_in(folder).read_bytes())["zoo"]
    monkeypatch.setenv("KDZOO_SIGNED_FOR", f"{'0' * 32},{zoo}")
    assert opened(folder).plan.method == "rd"
    monkeypatch.setenv("KDZOO_SIGNED_FOR", "0" * 32)
    with pytest.raises(SignatureError, match=f"a signature is for {zoo}, which KDZOO_SIGNED_FOR does not name"):
        opened(folder)


def test_a_signature_that_is_damaged_or_of_another_release_does_not_hold(made, folder):
    path = signature_in(folder)
    shutil.copy(signature_in(made / "2"), path)
    with pytest.raises(SignatureError, match="does not hold"):
        opened(folder)
    path.write_bytes(b"{}")
    with pytest.raises(SignatureError, match="damaged"):
        opened(folder)
    path.write_bytes(b"x" * 5000)
    with pytest.raises(CheckpointError, match="larger than the 4096 bytes"):
        opened(folder)
    shutil.copy(signature_in(made / "1"), folder / ("signature-" + "0" * 32 + ".json"))
    path.unlink()
    assert opened(folder).plan.method == "rd"


def test_a_release_of_before_is_compared_with_the_manifest(made, folder, monkeypatch):
    """Its document names no weights: the manifest, as it was written then, has them."""
    monkeypatch.delenv("KDZOO_REQUIRE_SIGNATURE")
    manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
    del manifest["document"]["weights"]
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest))
    (folder / DOCUMENT_FILE).write_text(json.dumps(manifest["document"], indent=2))
    assert "weights" not in opened(folder).document
    shutil.copy(made / "2" / WEIGHTS_FILE, folder / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match="are not those that its manifest names"):
        opened(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"{" * 100_000, b'{"schema": "kdzoo-manifest/2"}'])
def test_a_damaged_manifest(folder, content):
    (folder / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(ManifestInvalidError, match=r"manifest\.json"):
        opened(folder)


@pytest.mark.parametrize("name", [MANIFEST_FILE, "signature-" + "a" * 32 + ".json"])
def test_a_pipe_is_not_waited_for(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(StorageError, match="not a plain file"):
        opened(folder)


@pytest.mark.parametrize("name", [DOCUMENT_FILE, WEIGHTS_FILE, TEACHER_FILE])
def test_a_missing_file_is_an_error(folder, name):
    (folder / name).unlink()
    with pytest.raises(StorageError, match="No such file"):
        opened(folder)


def test_nothing_there(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StorageError, match="there is no detector"):
            opened(path)


def test_a_packed_detector_of_mixed_files_is_refused(made, folder, tmp_path):
    whole = of_folder(folder)
    members = whole.members | {PICTURE_FILE: b"another picture"}
    pack(members, tmp_path / "mixed", digests={})
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match=r"'cases\.png' in '.*mixed' is not the one"):
        unpack_whole(tmp_path / "mixed", tmp_path / "out")
    pack(whole.members | {WEIGHTS_FILE: made / "2" / WEIGHTS_FILE}, tmp_path / "mixed", digests={})
    with pytest.raises(CheckpointError, match="does not hold the weights"):
        opened(tmp_path / "mixed")


def test_what_is_unpacked_to_be_opened_does_not_stay(made, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    opened(made / "1.kdzoo")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_detector_of_no_zoo(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("KDZOO_REQUIRE_SIGNATURE")
    own = kdzoo.Detector.open(folder, device="cpu").save(tmp_path / "own")
    assert look_at(own).manifest is None
    whole = of_folder(own)
    pack(whole.members, tmp_path / "packed", digests=whole.digests)
    assert opened(tmp_path / "packed").document == opened(own).document
