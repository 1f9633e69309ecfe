"""Teachers to a zoo and back, and in place of a hub that is out of reach."""

import hashlib
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import save, save_file

from kdzoo.errors import TeacherError, TeacherUnavailableError, UnknownNameError, UsageError
from kdzoo.settings import Settings
from kdzoo.teacher_zoo import TeacherZoo, obtain_teacher, push_teacher
from kdzoo.teachers.adding import add_teacher
from kdzoo.teachers.backbone import load_teacher
from kdzoo.teachers.card import TeacherCard
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.packaged import packaged
from zoo_registry import BlobCache
from zoo_registry.errors import BlobCorruptError, ConflictError, SignatureError, StoreUnavailableError, ZooNotFoundError
from zoo_registry.format.layout import blob_key
from zoo_registry.format.signing import SigningKey
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.upkeep.gc import collect
from zoo_registry.zoo.key_files import write_key_pair

TINY = "test_resnet"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(timm.create_model(TINY).state_dict(), path)
    return path


@pytest.fixture
def notes():
    return []


@pytest.fixture
def zoo(store, tmp_path, settings, notes):
    return TeacherZoo(store, BlobCache(tmp_path / "cache"), settings, warn=notes.append)


@pytest.fixture
def settings():
    return Settings.from_environment()


@pytest.fixture
def teachers(settings):
    return LocalTeachers.of(settings)


@pytest.fixture
def elsewhere(tmp_path):
    """Another machine's teachers."""
    return LocalTeachers(tmp_path / "elsewhere")


@pytest.fixture
def plant(file, teachers):
    return add_teacher(file, teachers, name="plant", architecture=TINY, mean=(0.1, 0.2, 0.3))[0]


def carded(folder, data, **changes):
    (folder / "w").write_bytes(data)
    fields = {"name": "plant", "architecture": TINY, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    fields |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return TeacherCard(**fields | changes), folder / "w"


def test_to_a_zoo_and_back_on_another_machine(zoo, store, settings, plant, elsewhere):
    assert zoo.names() == []
    told = []
    assert push_teacher("plant", settings, zoo, progress=lambda done, total: told.append((done, total))) == (
        plant,
        True,
    )
    assert told[-1] == (plant.size, plant.size)
    assert (zoo.names(), zoo.card("plant"), zoo.card("other")) == (["plant"], plant, None)
    assert zoo.pull("plant", elsewhere) == plant
    there, here = load_teacher("plant", teachers=elsewhere), load_teacher("plant")
    assert there.weights() == here.weights()
    assert there.mean == (0.1, 0.2, 0.3)
    assert push_teacher("plant", settings, zoo) == (plant, False)
    assert fsck(store, deep=True).is_sound
    assert collect(store, grace=0).removed == ()


def test_a_zoo_never_changes_what_a_name_means(zoo, settings, plant, teachers, tmp_path):
    push_teacher("plant", settings, zoo)
    torch.manual_seed(6)
    save_file(timm.create_model(TINY).state_dict(), tmp_path / "other.safetensors")
    other, _ = add_teacher(tmp_path / "other.safetensors", teachers, name="plant", architecture=TINY, replace=True)
    with pytest.raises(ConflictError, match="has a teacher 'plant' with other weights") as caught:
        push_teacher("plant", settings, zoo)
    assert "kdzoo teacher add" in caught.value.hint
    assert zoo.card("plant") == plant
    with pytest.raises(UsageError, match="with other weights"):
        zoo.pull("plant", teachers)
    assert teachers.card("plant") == other
    assert zoo.pull("plant", teachers, replace=True) == teachers.card("plant") == plant


def test_damage_in_the_zoo_is_never_taken_and_is_mended_by_a_push(zoo, store, settings, plant, elsewhere, notes):
    push_teacher("plant", settings, zoo)
    key = blob_key(plant.sha256)
    whole = store.get(key)
    for bytes_ in (whole[:-1] + b"\x7f", whole[:-9], whole + b"more"):
        store.delete(key)
        store.put_if_absent(key, bytes_)
        with pytest.raises(BlobCorruptError) as caught:
            zoo.pull("plant", elsewhere)
        assert "kdzoo teacher push plant" in caught.value.hint
    assert elsewhere.names() == []
    assert push_teacher("plant", settings, zoo) == (plant, False)
    assert any("damaged bytes" in note for note in notes)
    assert zoo.pull("plant", elsewhere) == plant
    store.delete(key)
    elsewhere.remove("plant")
    with pytest.raises(TeacherError, match="has the card of teacher 'plant' and not its weights"):
        zoo.pull("plant", elsewhere)


@pytest.fixture
def folder_zoo(settings, notes):
    """The zoo that commands of this test use when none is named."""
    return TeacherZoo.of(settings, warn=notes.append)


@pytest.mark.parametrize(
    ("data", "changes", "error", "said"),
    [
        (b"not safetensors", {}, TeacherError, "cannot read the weights of teacher 'plant'"),
        (save({"a": torch.ones(1)}), {}, TeacherError, "do not fit teacher 'plant'.*tensors are missing"),
        (b"w", {"architecture": "nothing"}, UnknownNameError, "unknown teacher 'nothing'"),
        (b"w", {"name": "kdzoo-tiny"}, UsageError, "ships with kdzoo"),
        (b"w", {"name": "random-resnet18"}, UsageError, "random weights"),
        (b"w", {"name": "resnet50"}, UsageError, f"'resnet50' is of backbone '{TINY}'"),
        (b"w", {"name": "lite0", "architecture": "tf_efficientnet_lite0"}, UsageError, "'lite0' is not of the package"),
    ],
)
def test_what_a_stranger_put_into_the_zoo(folder_zoo, elsewhere, tmp_path, data, changes, error, said):
    card, weights = carded(tmp_path, data, **changes)
    folder_zoo.push(card, weights)
    with pytest.raises(error, match=said):
        folder_zoo.pull(card.name, elsewhere)
    assert elsewhere.names() == []


def test_a_teacher_the_zoo_does_not_have(folder_zoo, settings, plant, elsewhere, tmp_path):
    with pytest.raises(ZooNotFoundError, match="there is no zoo at"):
        folder_zoo.pull("plant", elsewhere)
    push_teacher("plant", settings, folder_zoo)
    with pytest.raises(UnknownNameError, match="unknown zoo teacher 'plnat'; did you mean 'plant'"):
        folder_zoo.pull("plnat", elsewhere)
    with pytest.raises(ConflictError, match="other weights"):
        folder_zoo.push(replace(plant, sha256="0" * 64), tmp_path / "w")


@pytest.mark.parametrize("name", ["random-resnet18", "resnet18@FILE"])
def test_what_is_not_pushed(folder_zoo, settings, file, name):
    with pytest.raises(UsageError, match=r"every machine makes by itself|no name of its own yet"):
        push_teacher(name.replace("FILE", str(file)), settings, folder_zoo)
    assert folder_zoo.names() == []


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)


@pytest.mark.parametrize("offline", [False, True])
def test_the_zoo_stands_in_for_a_hub_that_is_out_of_reach(folder_zoo, settings, notes, no_hub, tmp_path, offline):
    """The weights came from the hub on another machine; here a file stands for it."""
    settings = replace(settings, offline=offline)
    backbone = load_teacher(f"random-{TINY}")
    card, weights = carded(tmp_path, backbone.weights(), name=TINY)
    with pytest.raises(TeacherUnavailableError, match=rf"no weights for teacher '{TINY}\.r160_in1k'") as caught:
        obtain_teacher(TINY, settings, note=notes.append)
    assert "kdzoo teacher push" in caught.value.hint
    assert "--teacher kdzoo-tiny" in caught.value.hint
    assert notes.pop() == f"{folder_zoo.uri} has no teacher '{TINY}' either"
    folder_zoo.push(card, weights)
    teacher = obtain_teacher(TINY, settings, note=notes.append)
    assert notes == [f"teacher '{TINY}' comes from {folder_zoo.uri} (sha256 {card.sha256[:12]}...)"]
    assert teacher.weights() == backbone.weights()
    notes.clear()
    assert obtain_teacher(TINY, settings, note=notes.append).describe() == teacher.describe()
    assert notes == [], "it is on this machine now"


@pytest.mark.parametrize("asked", [TINY, f"{TINY}.r160_in1k"])
def test_a_zoo_of_an_earlier_kdzoo_has_the_hubs_weights_without_their_tag(
    folder_zoo, settings, notes, no_hub, teachers, tmp_path, asked
):
    """Its card says which weights they are: these are taken for the full name, and no others."""
    backbone, full = load_teacher(f"random-{TINY}"), f"{TINY}.r160_in1k"
    data = backbone.weights()
    folder_zoo.push(*carded(tmp_path, data, name=TINY, details={"origin": f"hub timm/{full}"}))
    teacher = obtain_teacher(asked, settings, note=notes.append)
    assert (str(teacher.name), teacher.weights()) == (asked, data)
    assert teachers.card(TINY) is not None
    if asked == full:
        assert (teacher.name.architecture, teacher.describe()["name"]) == (full, full)
        assert teachers.card(full).details == {"origin": f"hub timm/{full}"}


def test_other_weights_of_a_bare_name_are_not_taken_for_a_full_one(folder_zoo, settings, notes, no_hub, tmp_path):
    """As those that were timm's default when they were pushed."""
    data = load_teacher(f"random-{TINY}").weights()
    folder_zoo.push(*carded(tmp_path, data, name=TINY, details={"origin": f"hub timm/{TINY}.other_in1k"}))
    with pytest.raises(TeacherUnavailableError, match=rf"no weights for teacher '{TINY}\.r160_in1k'"):
        obtain_teacher(f"{TINY}.r160_in1k", settings, note=notes.append)


def test_the_hubs_weights_are_pushed_under_their_full_name(folder_zoo, settings, monkeypatch, file):
    monkeypatch.setattr("kdzoo.teachers.weights._hub_file", lambda architecture, *, offline: file)
    card, new = push_teacher(TINY, settings, folder_zoo)
    full = f"{TINY}.r160_in1k"
    assert new and folder_zoo.names() == [full]
    assert (card.name, card.architecture, card.details) == (full, full, {"origin": f"hub timm/{full}"})


def test_the_hubs_weights_that_an_earlier_kdzoo_pushed_are_the_same(folder_zoo, settings, monkeypatch, tmp_path):
    """It kept layers that no level reads; what is in a zoo never changes."""
    torch.manual_seed(5)
    save_file(timm.create_model("mobilenetv3_small_050").state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr("kdzoo.teachers.weights._hub_file", lambda *_, **__: tmp_path / "model.safetensors")
    with monkeypatch.context() as earlier:
        earlier.setattr("kdzoo.teachers.backbone.cut_unread", lambda backbone, images: (list(backbone(images)), {}))
        before, _ = push_teacher("mobilenetv3_small_050", settings, folder_zoo)
    assert push_teacher("mobilenetv3_small_050", settings, folder_zoo) == (before, False)
    assert load_teacher("mobilenetv3_small_050").describe()["sha256"] != before.sha256


def test_the_zoo_stands_in_for_a_package_index_that_is_out_of_reach(folder_zoo, settings, notes, tmp_path):
    settings, wanted = replace(settings, offline=True), packaged("lite2")
    backbone = load_teacher(f"random-{wanted.architecture}")
    with pytest.raises(
        TeacherUnavailableError, match=r"no weights for teacher 'lite2'.* KDZOO_OFFLINE is set"
    ) as caught:
        obtain_teacher("lite2", settings, note=notes.append)
    assert "kdzoo teacher push lite2" in caught.value.hint
    assert notes.pop() == f"{folder_zoo.uri} has no teacher 'lite2' either"
    known = {"mean": wanted.mean, "std": wanted.std, "details": wanted.details()}
    folder_zoo.push(*carded(tmp_path, backbone.weights(), name="lite2", architecture=wanted.architecture, **known))
    assert obtain_teacher("lite2", settings, note=notes.append).weights() == backbone.weights()
    assert [note.partition(" (")[0] for note in notes] == [f"teacher 'lite2' comes from {folder_zoo.uri}"]


def test_a_teacher_of_the_zoo_is_found_by_its_name(folder_zoo, settings, notes, plant, teachers):
    push_teacher("plant", settings, folder_zoo)
    teachers.remove("plant")
    assert obtain_teacher("plant", settings, note=notes.append).mean == (0.1, 0.2, 0.3)
    with pytest.raises(UnknownNameError, match="unknown teacher 'plnt'"):
        obtain_teacher("plnt", settings, note=notes.append)
    with pytest.raises(UnknownNameError, match=r"unknown teacher '\.\./x'"):
        obtain_teacher("../x", settings, note=notes.append)


def test_a_zoo_across_a_network_is_not_asked_when_offline(settings, plant, notes, no_hub):
    away = replace(settings, offline=True, zoo="s3://bucket/zoo")
    zoo = TeacherZoo.of(away, warn=notes.append)
    for ask in (zoo.names, lambda: zoo.card("plant"), lambda: push_teacher("plant", away, zoo)):
        with pytest.raises(StoreUnavailableError, match="offline"):
            ask()
    with pytest.raises(TeacherUnavailableError, match="KDZOO_OFFLINE is set"):
        obtain_teacher(TINY, away, note=notes.append)
    assert f"teacher '{TINY}' is not taken from s3://bucket/zoo" in notes[-1]


@pytest.fixture
def signing(tmp_path, monkeypatch):
    """A key pair; pushes are signed with it."""
    write_key_pair(SigningKey.generate(), tmp_path / "release.key")
    monkeypatch.setenv("KDZOO_SIGNING_KEY", str(tmp_path / "release.key"))
    return tmp_path / "release.key"


def asking(store, tmp_path, monkeypatch, keys, notes):
    """A machine that takes nothing unsigned."""
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", str(keys))
    return TeacherZoo(store, BlobCache(tmp_path / "line"), Settings.from_environment(), warn=notes.append)


def test_a_push_is_signed_and_a_signature_asked_for(
    store, tmp_path, monkeypatch, settings, plant, elsewhere, notes, signing
):
    unsigned = TeacherZoo(store, BlobCache(tmp_path / "cache"), settings, warn=notes.append)
    assert push_teacher("plant", settings, unsigned) == (plant, True)
    line = asking(store, tmp_path, monkeypatch, f"{signing}.pub", notes)
    with pytest.raises(SignatureError, match="teacher plant is not signed by a key of") as caught:
        line.pull("plant", elsewhere)
    assert "kdzoo teacher sign plant --key FILE" in caught.value.hint and elsewhere.names() == []
    # The same push again, now by somebody with the key, signs what lies there.
    signed = TeacherZoo(store, BlobCache(tmp_path / "cache"), Settings.from_environment(), warn=notes.append)
    assert push_teacher("plant", settings, signed) == (plant, False)
    assert line.pull("plant", elsewhere) == plant
    assert line.names() == ["plant"]
    checked = fsck(store, deep=True)
    assert checked.is_sound and not [one for one in checked.findings if one.kind.value == "foreign-file"]
    assert collect(store, grace=0).removed == ()


def test_a_signature_is_of_one_teacher_and_of_its_very_card(
    store, tmp_path, monkeypatch, plant, notes, signing, elsewhere
):
    settings = Settings.from_environment()
    push_teacher("plant", settings, TeacherZoo(store, BlobCache(tmp_path / "cache"), settings, warn=notes.append))
    (signature,) = [key for key in store.list("teachers/") if "/signatures/" in key]
    card = store.get("teachers/plant.json")
    changed = card.replace(b'"mean": [\n    0.1', b'"mean": [\n    0.7')
    assert changed != card
    store.delete("teachers/plant.json")
    store.put_if_absent("teachers/plant.json", changed)
    line = asking(store, tmp_path, monkeypatch, f"{signing}.pub", notes)
    with pytest.raises(SignatureError, match="its signature does not hold"):
        line.pull("plant", elsewhere)
    other = card.replace(b'"name": "plant"', b'"name": "other"')
    store.put_if_absent("teachers/other.json", other)
    store.put_if_absent(signature.replace("teachers/plant/", "teachers/other/"), store.get(signature))
    with pytest.raises(SignatureError, match="teacher other is not signed"):
        line.pull("other", elsewhere)


def test_signed_by_hand_what_lies_there_and_nothing_else(store, zoo, settings, plant, signing):
    push_teacher("plant", settings, zoo)
    card, document = zoo.checked("plant")
    assert card == plant and document.data == store.get("teachers/plant.json")
    key, new = zoo.sign(document, signing)
    assert (len(key), new) == (32, True) and zoo.sign(document, signing) == (key, False)
    store.delete(blob_key(plant.sha256))
    with pytest.raises(TeacherError, match="not its weights"):
        zoo.checked("plant")
    with pytest.raises(UnknownNameError):
        zoo.checked("planet")
