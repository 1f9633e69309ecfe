"""Weights under anybody's names, paired with a backbone's layers by their order."""

from collections import OrderedDict

import pytest
import timm
import torch
from helpers.command import run
from safetensors.torch import save_file

from kdzoo.errors import CheckpointError, TeacherError
from kdzoo.teachers.backbone import load_teacher
from kdzoo.teachers.layer_order import named_by_order

TINY = "test_resnet"
MODEL = {
    "stem.weight": torch.zeros(4, 3, 3, 3),
    "bn.weight": torch.zeros(4),
    "bn.bias": torch.zeros(4),
    "bn.running_mean": torch.zeros(4),
    "bn.running_var": torch.zeros(4),
    "bn.num_batches_tracked": torch.tensor(0),
    "stages.0.weight": torch.zeros(8, 4, 1, 1),
    "fc.weight": torch.zeros(10, 8),
    "fc.bias": torch.zeros(10),
}
FEATURES = ("stem.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "stages_0.weight")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def foreign(model=MODEL, *, head=True, counts=True):
    """The same layers, each with numbers of its own, under names that tell nothing."""
    torch.manual_seed(3)
    return {
        f"_layer{place}.{name.rpartition('.')[2]}": torch.rand_like(value, dtype=torch.float32)
        for place, (name, value) in enumerate(model.items())
        if (head or not name.startswith("fc.")) and (counts or not name.endswith("num_batches_tracked"))
    }


@pytest.mark.parametrize("counts", [True, False])
def test_every_tensor_finds_its_name(counts):
    given = foreign(counts=counts)
    found = named_by_order(given, MODEL, needed=FEATURES)
    assert set(found) == MODEL.keys() - {"bn.num_batches_tracked"}
    for place, name in enumerate(MODEL):
        if name in found:
            assert found[name] is given[f"_layer{place}.{name.rpartition('.')[2]}"]


def test_counts_may_be_the_files_alone():
    given = foreign()
    bare = {name: value for name, value in MODEL.items() if name != "bn.num_batches_tracked"}
    assert set(named_by_order(given, bare, needed=FEATURES)) == set(bare)


@pytest.mark.parametrize(
    "head",
    [{}, {"head.weight": torch.zeros(2, 8), "head.bias": torch.zeros(2)}, {"a.weight": torch.zeros(3)}],
    ids=["none", "of another size", "something else"],
)
def test_another_head_or_none(head):
    found = named_by_order(foreign(head=False) | head, MODEL, needed=FEATURES)
    assert set(found) == {"stem.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "stages.0.weight"}


def changed(**changes):
    return foreign() | changes


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, r"after 0 tensors that agree the file has nothing where the backbone has 'stem.weight' \(4, 3, 3, 3\)"),
        (
            foreign() | {"_layer2.bias": torch.zeros(5)},
            r"after 2 tensors that agree the file has '_layer2.bias' \(5,\) where the backbone has 'bn.bias' \(4,\)",
        ),
        (
            {name.replace("2.bias", "2.beta"): value for name, value in foreign().items()},
            "the file has '_layer2.beta'",
        ),
        (dict(list(foreign().items())[:4]), "after 4 tensors that agree the file has nothing"),
        (dict(sorted(foreign().items(), key=lambda item: item[1].ndim)), "after 0 tensors"),
    ],
    ids=["empty", "shape", "last part of the name", "too short", "another order"],
)
def test_where_they_part_is_said(given, said):
    with pytest.raises(CheckpointError, match=said):
        named_by_order(given, MODEL, needed=FEATURES)


def test_a_model_that_lacks_what_is_needed():
    with pytest.raises(CheckpointError, match=r"the model has no 'other\.weight'"):
        named_by_order(foreign(), MODEL, needed=(*FEATURES, "other.weight"))


@pytest.fixture(scope="module")
def whole():
    torch.manual_seed(5)
    return timm.create_model(TINY).state_dict()


def anonymous(state):
    """The state dict under names that tell nothing but the kind of tensor."""
    return OrderedDict(
        (f"_l{place}.{name.rpartition('.')[2]}", value) for place, (name, value) in enumerate(state.items())
    )


@pytest.mark.parametrize("suffix", ["pth", "pt"])
def test_a_backbone_reads_a_file_by_its_order(tmp_path, whole, suffix):
    torch.save(anonymous(whole), tmp_path / f"w.{suffix}")
    loaded = load_teacher(f"{TINY}@{tmp_path / f'w.{suffix}'}").backbone.state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in loaded.items())


def test_a_name_that_means_another_layer_there_misleads_nobody(tmp_path, whole):
    """``bn1`` is the last norm in some ports and the first one in timm."""
    other = {("bn1.weight" if name == "_l1.weight" else name): value for name, value in anonymous(whole).items()}
    other = OrderedDict(list(other.items()))
    torch.save(other, tmp_path / "w.pth")
    loaded = load_teacher(f"{TINY}@{tmp_path / 'w.pth'}").backbone.state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in loaded.items())


def test_safetensors_keep_no_order_and_are_not_read_by_it(tmp_path, whole):
    save_file(anonymous(whole), tmp_path / "w.safetensors")
    with pytest.raises(TeacherError, match="tensors are missing") as caught:
        load_teacher(f"{TINY}@{tmp_path / 'w.safetensors'}")
    assert "a .pth or .pt file may have any names" in caught.value.hint


def test_neither_names_nor_order(tmp_path, whole):
    torch.save(OrderedDict(reversed(anonymous(whole).items())), tmp_path / "w.pth")
    with pytest.raises(TeacherError, match=r"tensors are missing, .*; nor do they by their order: after 0 tensors"):
        load_teacher(f"{TINY}@{tmp_path / 'w.pth'}")


def test_not_finite_is_found_all_the_same(tmp_path, whole):
    broken = anonymous(whole)
    broken["_l0.weight"] = broken["_l0.weight"] * float("nan")
    torch.save(broken, tmp_path / "w.pth")
    with pytest.raises(TeacherError, match="holds NaN"):
        load_teacher(f"{TINY}@{tmp_path / 'w.pth'}")


def test_the_command_takes_such_a_file(capsys, tmp_path, whole):
    torch.save(anonymous(whole), tmp_path / "raw.pth")
    ran = run(capsys, "teacher", "add", tmp_path / "raw.pth", "--name", "raw", "--architecture", TINY)
    assert ran.status == 0, ran.err
    assert all(torch.equal(value, whole[name]) for name, value in load_teacher("raw").backbone.state_dict().items())
