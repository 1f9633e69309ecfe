"""Files of a trial: what was written comes back, and damaged ones are refused."""

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from kdzoo.errors import CheckpointError
from kdzoo.training.checkpoint import load_state, load_tensors, save_state, save_tensors

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b.c": torch.tensor([1, 2, 3])}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "folder" / "w.safetensors"
    save_tensors(path, TENSORS)
    return path


def test_tensors_come_back(file):
    again = load_tensors(file, TENSORS)
    assert all(torch.equal(again[key], value) for key, value in TENSORS.items())


def test_the_same_tensors_give_the_same_bytes_in_any_memory_order(tmp_path):
    tensor = torch.rand(2, 3, 4, 4)
    save_tensors(tmp_path / "a", {"t": tensor})
    save_tensors(tmp_path / "b", {"t": tensor.contiguous(memory_format=torch.channels_last)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"a": TENSORS["a"]}, "lacks 1 tensors, the first 'b.c'"),
        (TENSORS | {"z": torch.ones(1), "../../x": torch.ones(1)}, "holds 2 unknown tensors, the first '../../x'"),
        (TENSORS | {"a": torch.ones(3, 2)}, r"'a' is \(3, 2\) torch.float32, expected \(2, 3\)"),
        (TENSORS | {"a": torch.ones(2, 3).double()}, "'a' is .* torch.float64, expected"),
        (TENSORS | {"a": torch.full((2, 3), float("nan"))}, "'a' holds NaN or infinite"),
        (TENSORS | {"a": torch.full((2, 3), float("-inf"))}, "'a' holds NaN or infinite"),
    ],
)
def test_other_tensors_are_refused(tmp_path, held, said):
    (tmp_path / "w").write_bytes(save(held))
    with pytest.raises(CheckpointError, match=said):
        load_tensors(tmp_path / "w", TENSORS)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:4],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data + b"trailing",
        lambda data: pickle.dumps({"a": 1}),
        lambda data: b"\xff" * 8 + data[8:],
    ],
)
def test_damaged_files_are_refused(file, damage):
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(CheckpointError, match=r"w\.safetensors"):
        load_tensors(file, TENSORS)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(CheckpointError, match="cannot read"):
            load_tensors(path, TENSORS)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_flipped_bytes_give_tensors_of_the_expected_shape_or_a_checkpoint_error(tmp_path_factory, data):
    content = bytearray(save(TENSORS))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    path.write_bytes(content)
    try:
        found = load_tensors(path, TENSORS)
    except CheckpointError:
        return
    assert {key: (value.shape, value.dtype) for key, value in found.items()} == {
        key: (value.shape, value.dtype) for key, value in TENSORS.items()
    }
    assert all(torch.isfinite(value).all() for value in found.values())


STATE = {"epoch": 3, "name": "x", "none": None, "list": [1.5, {"t": torch.ones(2)}]}


def test_a_resume_state_comes_back(tmp_path):
    save_state(tmp_path / "state.pt", STATE)
    again = load_state(tmp_path / "state.pt")
    assert (again["epoch"], again["name"], again["none"], again["list"][0]) == (3, "x", None, 1.5)
    assert torch.equal(again["list"][1]["t"], torch.ones(2))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_resume_state_is_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "state.pt"
    save_state(path, STATE)
    content = bytearray(path.read_bytes())
    content = content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))]
    for _ in range(data.draw(st.integers(0, 4))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        assert isinstance(load_state(path), dict)
    except CheckpointError as error:
        assert "state.pt" in error.message


@pytest.mark.parametrize("content", [[1], 3, torch.ones(1)])
def test_a_resume_state_is_a_mapping(tmp_path, content):
    torch.save(content, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="is no resume state"):
        load_state(tmp_path / "state.pt")


def test_a_missing_resume_state_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nowhere\.pt"):
        load_state(tmp_path / "nowhere.pt")


def test_code_in_a_resume_state_does_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    torch.save({"epoch": Trap()}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError):
        load_state(tmp_path / "state.pt")
    assert not (tmp_path / "sprung").exists()
