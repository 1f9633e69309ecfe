"""Teachers under a name: cards, the folder of this machine, the package's own; sound, damaged and hostile."""

import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from kdzoo.detector import Detector
from kdzoo.errors import TeacherError, UnknownNameError, UsageError
from kdzoo.settings import Settings
from kdzoo.teachers.adding import add_teacher
from kdzoo.teachers.backbone import build_teacher, load_named_teacher, load_teacher
from kdzoo.teachers.card import SCHEMA, TeacherCard
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import check_own_name, parse_teacher, shipped_name
from kdzoo.training.document import parse_document
from zoo_registry.errors import BlobCorruptError, NameInvalidError, StoreUnavailableError

TINY = "test_resnet"
"""timm's own backbone for tests; its input transform is mean 0.5, std 0.5."""
CARD = TeacherCard(name="plant", architecture=TINY, sha256="ab" * 32, size=7, mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def whole():
    torch.manual_seed(5)
    return timm.create_model(TINY).state_dict()


@pytest.fixture(scope="module")
def file(whole, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(whole, path)
    return path


@pytest.fixture
def teachers():
    """Those that commands of this test would find."""
    return LocalTeachers.of(Settings.from_environment())


def added(teachers, file, name="plant", **changes):
    return add_teacher(file, teachers, name=name, architecture=TINY, **changes)[0]


def other_weights(folder):
    torch.manual_seed(6)
    save_file(timm.create_model(TINY).state_dict(), folder / "other.safetensors")
    return folder / "other.safetensors"


def test_a_card_comes_back_from_its_bytes():
    card = TeacherCard.parse(CARD.to_bytes(), name="plant", what="it")
    assert card == CARD
    rich = {**CARD.document(), "recipe": {"steps": 3}, "images": 9}
    read = TeacherCard.parse(json.dumps(rich).encode(), name=None, what="it")
    assert read.details == {"recipe": {"steps": 3}, "images": 9}
    assert read.document() == rich


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "kdzoo-teacher/2"}, "kdzoo-teacher/2"),
        ({"name": "../x"}, "not a valid name"),
        ({"name": "other"}, "is the card of 'other', not of 'plant'"),
        ({"sha256": "AB" * 32}, "64 lower-case"),
        ({"size": 0}, "size is 0"),
        ({"mean": [0.5, 0.5]}, "'mean' must be three numbers"),
        ({"mean": "abc"}, "'mean' must be three numbers"),
        ({"std": [0.5, 0.5, 0]}, "'std' must be three numbers"),
        ({"std": [True, True, True]}, "'std' must be three numbers"),
        ({"architecture": 3}, "architecture is 3"),
        ({"licence": None}, "licence is None"),
    ],
)
def test_a_card_that_cannot_be_used(change, said):
    data = json.dumps({**CARD.document(), **change}).encode()
    with pytest.raises(TeacherError, match=said):
        TeacherCard.parse(data, name="plant", what="the file")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_cards_are_read_or_refused(data):
    content = bytearray(CARD.to_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))]
    try:
        card = TeacherCard.parse(bytes(content), name="plant", what="the file")
    except TeacherError:
        return
    assert TeacherCard.parse(card.to_bytes(), name="plant", what="again") == card


def test_a_detail_cannot_stand_for_a_field():
    with pytest.raises(TeacherError, match="says 'sha256' twice"):
        TeacherCard(**{**FIELDS, "details": {"sha256": "cd" * 32}})


FIELDS = {"name": "plant", "architecture": TINY, "sha256": "ab" * 32, "mean": (0.5,) * 3, "std": (0.5,) * 3}


def test_an_added_teacher_is_loaded_by_its_name(teachers, file, whole):
    card = added(teachers, file, mean=(0.1, 0.2, 0.3), licence="MIT")
    teacher = load_teacher("plant")
    state = teacher.backbone.state_dict()
    assert all(torch.equal(value, whole[key]) for key, value in state.items())
    assert (teacher.mean, teacher.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    described = teacher.describe()
    assert (described["name"], described["source"], described["architecture"]) == ("plant", "local", TINY)
    assert described["sha256"] == card.sha256 == hashlib.sha256(teachers.file(card).read_bytes()).hexdigest()
    assert set(load_file(teachers.file(card))) == set(state), "the classifier is left out"
    assert (card.licence, card.details) == ("MIT", {"origin": "file w.safetensors"})
    assert (teachers.names(), teachers.card("plant")) == (["plant"], card)


def test_a_teachers_statistics_travel_with_its_parsed_name(teachers, file):
    """A worker builds it from name and bytes, and has neither the card nor the file."""
    added(teachers, file, mean=(0.1, 0.2, 0.3))
    name = pickle.loads(pickle.dumps(parse_teacher("plant")))
    teachers.remove("plant")
    assert build_teacher(name).mean == (0.1, 0.2, 0.3)
    assert (str(name), name.label) == ("plant", "plant")


def test_the_same_again_changes_nothing_and_mends_damage(teachers, file):
    card, new = add_teacher(file, teachers, name="plant", architecture=TINY)
    assert new
    teachers.file(card).write_bytes(b"damaged")
    assert add_teacher(file, teachers, name="plant", architecture=TINY) == (card, False)
    assert teachers.holds(card)


def test_other_weights_take_a_name_only_when_asked_to(teachers, file, tmp_path):
    first, other = added(teachers, file), other_weights(tmp_path)
    with pytest.raises(UsageError, match="there is a teacher 'plant' with other weights") as caught:
        added(teachers, other)
    assert "--replace" in caught.value.hint
    assert teachers.card("plant") == first
    second = added(teachers, other, replace=True)
    assert teachers.card("plant") == second != first
    assert not teachers.file(first).exists(), "nothing names the weights that were replaced"


def test_weights_stay_as_long_as_a_name_bears_them(teachers, file):
    one, two = added(teachers, file), added(teachers, file, name="line3")
    assert one.sha256 == two.sha256
    teachers.remove("plant")
    assert teachers.holds(two)
    teachers.remove("line3")
    assert [path for path in teachers.folder.rglob("*") if path.is_file()] == []
    with pytest.raises(UnknownNameError, match="unknown local teacher 'plant'"):
        teachers.remove("plant")


def test_adding_beside_removing_never_leaves_a_card_without_weights(tmp_path):
    weights = tmp_path / "w"
    weights.write_bytes(b"weights")
    home = LocalTeachers(tmp_path / "teachers")
    cards = [
        replace(CARD, name=name, sha256=hashlib.sha256(b"weights").hexdigest()) for name in ("plant", "line3", "line4")
    ]
    # Another command names the weights just when the last card that named them is gone.
    home.add(cards[0], weights)
    looked = home._digests

    def named_meanwhile():
        found = looked()
        if not found:
            home._digests = looked
            home.add(cards[1], weights)
        return found

    home._digests = named_meanwhile
    home.remove("plant")
    assert home.names() == ["line3"] and home.holds(cards[1])

    def busy(card):
        own = LocalTeachers(home.folder)
        for _ in range(8):
            own.add(card, weights)
            assert own.holds(card)
            own.remove(card.name)
        own.add(card, weights)

    with ThreadPoolExecutor() as pool:
        list(pool.map(busy, cards))
    assert all(home.holds(card) for card in cards)
    assert not any(home.folder.joinpath(".tmp").iterdir())


def test_a_damaged_card_is_told_of_and_can_be_removed(teachers, file):
    added(teachers, file)
    (teachers.folder / "plant.json").write_text("{")
    for use in (lambda: load_teacher("plant"), lambda: added(teachers, file)):
        with pytest.raises(TeacherError, match=r"plant\.json' is not valid") as caught:
            use()
        assert "kdzoo teacher remove plant" in caught.value.hint
    teachers.remove("plant")
    assert added(teachers, file).name == "plant"


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"\x01", lambda data: b"", None])
def test_other_bytes_than_the_cards_are_never_loaded(teachers, file, damage):
    path = teachers.file(added(teachers, file))
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TeacherError, match="weights of teacher 'plant'") as caught:
        load_teacher("plant")
    assert "kdzoo teacher pull plant" in caught.value.hint


def carded(folder, data, **changes):
    """A teacher whose digest is right, whatever the bytes are."""
    (folder / "w").write_bytes(data)
    card = TeacherCard(**{**FIELDS, "sha256": hashlib.sha256(data).hexdigest(), **changes})
    LocalTeachers.of(Settings.from_environment()).add(card, folder / "w")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lambda state: pickle.dumps({"conv1": 1}), "cannot read the weights of teacher 'plant'"),
        (lambda state: save(dict(list(state.items())[:3])), "tensors are missing"),
        (lambda state: save(state | {"bn1.weight": torch.ones(3)}), "'bn1.weight' has shape"),
        (lambda state: save(state | {"bn1.bias": state["bn1.bias"] * float("nan")}), "'bn1.bias' holds NaN"),
    ],
    ids=["pickle", "missing", "misshapen", "nan"],
)
def test_weights_of_the_right_digest_and_the_wrong_kind(tmp_path, whole, data, said):
    carded(tmp_path, data(whole))
    with pytest.raises(TeacherError, match=said):
        load_teacher("plant")


def test_a_card_of_an_unknown_backbone(tmp_path, whole):
    carded(tmp_path, save(whole), architecture="hf-hub:somebody/something")
    with pytest.raises(UnknownNameError, match="unknown teacher 'hf-hub:somebody/something'"):
        load_teacher("plant")


def test_the_folder_takes_only_what_its_card_says(teachers, tmp_path):
    (tmp_path / "w").write_bytes(b"other")
    with pytest.raises(BlobCorruptError, match="does not have the sha256 of teacher 'plant'"):
        teachers.add(CARD, tmp_path / "w")
    assert teachers.names() == []
    teachers.folder.parent.joinpath("file").write_text("")
    with pytest.raises(StoreUnavailableError, match="cannot"):
        LocalTeachers(teachers.folder.parent / "file" / "teachers").add(CARD, tmp_path / "w")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", "x" * 65, "con", ".hidden"])
def test_names_that_could_leave_the_folder(teachers, file, name):
    with pytest.raises(NameInvalidError):
        check_own_name(name)
    assert teachers.card(name) is None
    with pytest.raises((NameInvalidError, UsageError)):
        added(teachers, file, name=name)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("kdzoo-tiny", "ships with kdzoo"),
        ("random-plant", "random weights"),
        ("plant.safetensors", "a file"),
        ("resnet18", "a backbone of timm"),
        ("resnet18.plant", "a backbone of timm"),
    ],
)
def test_names_that_mean_something_else(name, means):
    with pytest.raises(UsageError, match=f"'{name}' is taken: it means .*{means}"):
        check_own_name(name)


def shipped(folder, state, **changes):
    data = save(state)
    (folder / "kdzoo-tiny.safetensors").write_bytes(data)
    fields = {
        "schema": SCHEMA,
        "name": "kdzoo-tiny",
        "architecture": TINY,
        "sha256": hashlib.sha256(data).hexdigest(),
        "mean": [0.4, 0.4, 0.4],
        "std": [0.2, 0.2, 0.2],
        "licence": "Apache-2.0",
        "recipe": {"steps": 10},
        "seed": 0,
    }
    (folder / "kdzoo-tiny.json").write_text(json.dumps({**fields, **changes}))
    return folder


def test_a_shipped_teacher_of_half_precision_without_counts(tmp_path, whole):
    backbone = build_teacher(parse_teacher(TINY)).backbone.state_dict()
    half = {key: whole[key].half() for key in backbone if not key.endswith("num_batches_tracked")}
    name = shipped_name("kdzoo-tiny", folder=shipped(tmp_path, half))
    teacher = load_named_teacher(name, offline=True)
    assert (str(name), name.source, teacher.mean) == ("kdzoo-tiny", "shipped", (0.4, 0.4, 0.4))
    for key, value in half.items():
        assert torch.equal(teacher.backbone.state_dict()[key], value.float())


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "kdzoo-tiny.json").unlink(),
        lambda folder: (folder / "kdzoo-tiny.json").write_text("{}"),
        lambda folder: (folder / "kdzoo-tiny.safetensors").unlink(),
        lambda folder: (folder / "kdzoo-tiny.safetensors").write_bytes(b"x"),
    ],
)
def test_a_damaged_shipped_teacher_says_how_to_mend_it(tmp_path, whole, damage):
    folder = shipped(tmp_path, whole)
    damage(folder)
    with pytest.raises(TeacherError) as caught:
        load_named_teacher(shipped_name("kdzoo-tiny", folder=folder))
    assert "kdzoo-tiny" in caught.value.message
    assert "pip install --force-reinstall" in caught.value.hint


def test_the_card_that_pretraining_leaves_says_the_rest(teachers, tmp_path, whole):
    save_file(whole, tmp_path / "run.safetensors")
    digest = hashlib.sha256((tmp_path / "run.safetensors").read_bytes()).hexdigest()
    fields = {"schema": SCHEMA, "name": "plant-tiny", "architecture": TINY, "sha256": digest, "licence": "Apache-2.0"}
    numbers = {"mean": [0.4] * 3, "std": [0.2] * 3, "bytes": 5, "recipe": {"steps": 10}}
    (tmp_path / "run.json").write_text(json.dumps({**fields, **numbers}))
    card, _ = add_teacher(tmp_path / "run.safetensors", teachers)
    assert (card.name, card.architecture, card.mean, card.licence) == ("plant-tiny", TINY, (0.4,) * 3, "Apache-2.0")
    assert card.details == {"recipe": {"steps": 10}, "origin": f"file run.safetensors, sha256 {digest}"}
    (tmp_path / "run.json").write_text(json.dumps({**fields, **numbers, "sha256": "0" * 64}))
    with pytest.raises(TeacherError, match="are not those of the card beside it"):
        add_teacher(tmp_path / "run.safetensors", teachers)


def test_a_file_that_does_not_say_what_it_is(teachers, file, tmp_path):
    (tmp_path / "w.json").write_text('{"something": "else"}')
    for given_, missing in (({}, "--name"), ({"name": "plant"}, "--architecture")):
        with pytest.raises(UsageError, match=f"does not say what it is: {missing} is missing"):
            add_teacher(file, teachers, **given_)
    with pytest.raises(UsageError, match="there is no teacher weight file"):
        add_teacher(tmp_path / "nowhere.pth", teachers, name="plant", architecture=TINY)


def test_a_detector_is_rebuilt_where_its_teacher_has_no_name(teachers, file, tmp_path):
    """Of sources shipped, local and random, from documents alone: the weights lie beside the document."""
    from helpers.trials import small_trial

    from kdzoo.training.outcome import conclude

    added(teachers, file, mean=(0.4, 0.4, 0.4))
    trainer = small_trial(tmp_path, "rd", teacher=load_teacher("plant"), epochs=1)
    trainer.run()
    outcome = conclude(trainer)
    detector = Detector(outcome.method, outcome.document)
    folder = detector.save(tmp_path / "saved")
    teachers.remove("plant")
    image = trainer.data.parts.report[0].path
    assert Detector.open(folder).predict(image).score == detector.predict(image).score
    for source in ("shipped", "local", "random", "hub"):
        document = {**outcome.document, "teacher": {**outcome.document["teacher"], "source": source}}
        rebuilt = build_teacher(parse_document(document).teacher)
        assert rebuilt.shape == detector.method.teacher.shape
    weights = folder / "teacher.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(ValueError, match="is not the teacher that the document names by its digest"):
        Detector.open(folder)
