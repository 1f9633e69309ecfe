"""Layers after the last level: cut off in what is built, and passed over in what an earlier kdzoo wrote."""

import hashlib
import json

import pytest
import timm
import torch
from helpers.trials import small_trial
from safetensors.torch import load_file, save, save_file
from torch import nn

from kdzoo.detector import DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE, Detector
from kdzoo.errors import CheckpointError
from kdzoo.settings import Settings
from kdzoo.teachers.adding import add_teacher
from kdzoo.teachers.backbone import build_teacher, load_teacher
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import TeacherName
from kdzoo.teachers.unread import cut_unread
from kdzoo.training.outcome import conclude

SMALL = "mobilenetv3_small_050"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def uncut(backbone, images):
    """What an earlier kdzoo did: all layers stay."""
    return list(backbone(images)), {}


@pytest.fixture
def earlier(monkeypatch):
    """Yields what puts an earlier kdzoo in place of this one, and back."""

    class Earlier:
        def __enter__(self):
            self.patch = pytest.MonkeyPatch()
            self.patch.setattr("kdzoo.teachers.backbone.cut_unread", uncut)

        def __exit__(self, *_):
            self.patch.undo()

    return Earlier()


class Rows(nn.Module):
    """Two levels: of the first layer, and of the given place of a row of layers."""

    def __init__(self, row, gives):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.row, self.gives = row, gives

    def forward(self, images):
        levels = [self.stem(images)]
        value = levels[0]
        for place, layer in enumerate(self.row):
            value = layer(value)
            if place == self.gives:
                levels.append(value)
        return levels


def conv():
    return nn.Conv2d(4, 4, 1)


def test_a_row_ends_with_the_layer_that_gives_the_last_level():
    model = Rows(nn.Sequential(conv(), nn.BatchNorm2d(4), conv(), conv()), gives=1).eval()
    images = torch.rand(1, 3, 8, 8)
    before, last = model(images), {f"row.{key}" for key in model.row[2:].state_dict()}
    levels, unread = cut_unread(model, images)
    assert all(torch.equal(one, other) for one, other in zip(before, levels, strict=True))
    assert len(model.row) == 2 and set(unread) == last == {"row.2.weight", "row.2.bias", "row.3.weight", "row.3.bias"}
    assert all(value.is_meta for value in unread.values()) and unread["row.3.bias"].shape == (4,)
    assert cut_unread(model, images)[1] == {}, "once is enough"


def test_what_works_in_place_on_the_last_level_stays():
    """It hands on the very tensor that it was given, and so changes the level."""
    model = Rows(nn.Sequential(conv(), nn.ReLU(inplace=True), conv()), gives=0).eval()
    before = model(torch.ones(1, 3, 2, 2))[1]
    levels, unread = cut_unread(model, torch.ones(1, 3, 2, 2))
    assert torch.equal(levels[1], before)
    assert len(model.row) == 2 and set(unread) == {"row.2.weight", "row.2.bias"}


class Summed(Rows):
    """Its last level is no layer's own output."""

    def forward(self, images):
        first, second = super().forward(images)
        return [first, first + second]


@pytest.mark.parametrize(
    "model",
    [
        Rows(nn.Sequential(conv(), conv()), gives=1),
        Rows(nn.ModuleList([conv(), conv(), conv()]), gives=1),
        Summed(nn.Sequential(conv(), conv(), conv()), gives=1),
    ],
    ids=["all of it is read", "not a row", "a level made of several"],
)
def test_what_is_not_known_to_be_unread_stays(model):
    before = set(model.state_dict())
    assert cut_unread(model.eval(), torch.rand(1, 3, 4, 4))[1] == {}
    assert set(model.state_dict()) == before


@pytest.mark.parametrize(
    ("architecture", "parameters", "whole"),
    [
        ("tf_efficientnet_lite0", 700_768, 2_958_848),
        ("mobilenetv2_100", 542_528, 1_811_712),
        ("mobilenetv3_large_100", 792_488, 2_971_952),
        ("resnet18", 2_782_784, 2_782_784),
        ("convnext_atto", 1_492_920, 1_492_920),
    ],
)
def test_the_same_features_of_fewer_weights(earlier, architecture, parameters, whole):
    def built():
        torch.manual_seed(0)
        return build_teacher(TeacherName(architecture=architecture, source="random"))

    with earlier:
        before = built()
    now = built()
    images = torch.randn(2, 3, 64, 96)
    assert all(torch.equal(one, other) for one, other in zip(before(images), now(images), strict=True))
    counts = [sum(weight.numel() for weight in teacher.parameters()) for teacher in (now, before)]
    assert counts == [parameters, whole]
    assert now.backbone.state_dict().keys() | now.unread.keys() == before.backbone.state_dict().keys()


@pytest.fixture
def release(request, tmp_path, earlier):
    """A detector as an earlier kdzoo saved it; of `adps`, whose student is a backbone, too."""
    with earlier:
        trainer = small_trial(tmp_path, request.param, teacher=load_teacher(f"random-{SMALL}"), epochs=1)
        trainer.method.requires_grad_(False)
        trainer.best.weights = {key: value.clone() for key, value in trainer.method.learned_state().items()}
        outcome = conclude(trainer)
        del outcome.document["weights"]  # it named no digest of them
        Detector(outcome.method, outcome.document, device="cpu").save(tmp_path / "release")
        image = torch.rand(3, 70, 80)
        expected = Detector.open(tmp_path / "release", device="cpu").predict(image)
    assert any(key.startswith("blocks.5.") for key in load_file(tmp_path / "release" / TEACHER_FILE))
    return tmp_path / "release", image, expected


@pytest.mark.parametrize("release", ["rd", "adps"], indirect=True)
def test_an_earlier_release_says_the_same_and_stays_the_same_teacher(release, tmp_path):
    folder, image, expected = release
    detector = Detector.open(folder, device="cpu")
    assert not any("blocks.5." in key for key in detector.method.state_dict()), "they are not computed"
    found = detector.predict(image)
    assert (found.score, found.threshold) == (expected.score, expected.threshold)
    assert (found.anomaly_map == expected.anomaly_map).all()
    detector.save(tmp_path / "again")
    for file in (TEACHER_FILE, DOCUMENT_FILE):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
    assert Detector.open(tmp_path / "again", device="cpu").predict(image).score == expected.score


@pytest.mark.parametrize(
    ("release", "file"),
    [("rd", TEACHER_FILE), ("adps", TEACHER_FILE), ("adps", WEIGHTS_FILE)],
    indirect=["release"],
)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda state, last: {key: value for key, value in state.items() if key != last}, "lacks 1 tensors"),
        (lambda state, last: {**state, "blocks.9.0.weight": torch.ones(2)}, "holds 1 unknown tensors"),
        (lambda state, last: {**state, last: torch.ones(3)}, "expected"),
    ],
    ids=["some of them", "one more", "misshapen"],
)
def test_unread_layers_are_all_there_or_none(release, file, damage, said):
    folder, _, _ = release
    state = load_file(folder / file)
    data = save(damage(state, max(key for key in state if "blocks.5." in key)))
    (folder / file).write_bytes(data)
    document = json.loads((folder / DOCUMENT_FILE).read_text())
    if file == TEACHER_FILE:
        document["teacher"]["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / DOCUMENT_FILE).write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=said):
        Detector.open(folder, device="cpu")


def test_a_teacher_of_this_machine_keeps_its_file_and_gives_what_is_read(tmp_path, earlier):
    torch.manual_seed(5)
    save_file(timm.create_model(SMALL).state_dict(), tmp_path / "w.safetensors")
    teachers = LocalTeachers.of(Settings.from_environment())

    def added():
        return add_teacher(tmp_path / "w.safetensors", teachers, name="plant", architecture=SMALL)

    with earlier:
        before, _ = added()
        features = load_teacher("plant")(torch.ones(1, 3, 64, 64))
    teacher = load_teacher("plant")
    assert all(torch.equal(one, other) for one, other in zip(features, teacher(torch.ones(1, 3, 64, 64)), strict=True))
    assert added() == (before, False), "the same weights again, whatever else the file holds"
    assert teachers.card("plant") == before and teachers.holds(before)
    assert len(teacher.weights()) < before.size / 2
    trainer = small_trial(tmp_path, "rd", teacher=teacher, epochs=1)
    trainer.step()
    described = conclude(trainer).document["teacher"]
    assert described["sha256"] == hashlib.sha256(teacher.weights()).hexdigest()
    assert described["file_sha256"] == before.sha256
    torch.manual_seed(6)
    save_file(timm.create_model(SMALL).state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="with other weights"):
        added()
