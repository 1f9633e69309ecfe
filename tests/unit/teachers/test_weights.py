"""Teacher weights from files and from the hub, damaged and hostile ones among them."""

import hashlib
import pickle

import pytest
import timm
import torch
from helpers.trials import in_new_process
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from kdzoo.errors import TeacherError
from kdzoo.teachers.backbone import load_teacher
from kdzoo.teachers.weights import read_weight_file

TINY = "test_resnet"
"""timm's own backbone for tests: a true ResNet of a few hundred kilobytes."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def whole():
    """The state dict of the whole classifier, as timm and torchvision name it."""
    torch.manual_seed(5)
    return timm.create_model(TINY).state_dict()


def written(folder, state, name):
    file = folder / name
    if name.endswith(".safetensors"):
        save_file(state, file)
    else:
        torch.save(state, file)
    return f"{TINY}@{file}"


def holds(teacher, whole):
    return all(torch.equal(value, whole[key]) for key, value in teacher.backbone.state_dict().items())


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt"])
def test_a_whole_classifier(tmp_path, whole, name):
    assert holds(load_teacher(written(tmp_path, whole, name)), whole)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_keys_that_say_module(tmp_path, whole, name):
    assert holds(load_teacher(written(tmp_path, {f"module.{key}": value for key, value in whole.items()}, name)), whole)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_state_dict_inside_a_checkpoint(tmp_path, whole, key):
    nested = {"epoch": 3, key: {f"module.{name}": value for name, value in whole.items()}}
    assert holds(load_teacher(written(tmp_path, nested, "w.pth")), whole)


def test_keys_of_torchvision(tmp_path):
    """torchvision's resnet18 has these keys among others, and timm's the same."""
    reference = timm.create_model("resnet18").state_dict()
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer3.0.downsample.1.bias"} <= set(reference)
    without_counts = {key: value for key, value in reference.items() if not key.endswith("num_batches_tracked")}
    torch.save(without_counts, tmp_path / "resnet18.pth")
    assert holds(load_teacher(f"resnet18@{tmp_path / 'resnet18.pth'}"), reference)


def test_keys_of_a_backbone_whose_levels_timm_flattens(tmp_path):
    state = timm.create_model("test_convnext").state_dict()
    assert any(key.startswith("stages.0.") for key in state)
    save_file(state, tmp_path / "w.safetensors")
    teacher = load_teacher(f"test_convnext@{tmp_path / 'w.safetensors'}")
    flattened = teacher.backbone.state_dict()
    assert any(key.startswith("stages_0.") for key in flattened)
    for key, value in flattened.items():
        assert torch.equal(value, state[key.replace("stages_", "stages.").replace("stem_", "stem.")])


def test_half_precision_becomes_single(tmp_path, whole):
    teacher = load_teacher(written(tmp_path, {key: value.half() for key, value in whole.items()}, "w.safetensors"))
    assert all(parameter.dtype == torch.float32 for parameter in teacher.parameters())


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda whole: without(whole, "conv1.0.weight"), "1 of .* tensors are missing, the first 'conv1.0.weight'"),
        (lambda whole: {"fc.weight": whole["fc.weight"]}, "tensors are missing, the first 'conv1"),
        (lambda whole: {}, "tensors are missing"),
        (lambda whole: whole | {"bn1.weight": torch.ones(3)}, r"'bn1.weight' has shape \(3,\), expected"),
        (lambda whole: whole | {"bn1.bias": whole["bn1.bias"] * float("nan")}, "'bn1.bias' holds NaN"),
        (lambda whole: whole | {"bn1.bias": whole["bn1.bias"] + float("inf")}, "'bn1.bias' holds NaN or infinite"),
    ],
)
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_weights_that_do_not_fit(tmp_path, whole, damage, said, name):
    with pytest.raises(TeacherError, match=said):
        load_teacher(written(tmp_path, damage(whole), name))


class Trap:
    """Unpickling it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("writer", [torch.save, lambda state, file: file.write_bytes(pickle.dumps(state))])
@pytest.mark.parametrize("force", ["0", "1"])
def test_code_in_a_pickle_is_refused_and_does_not_run(tmp_path, whole, writer, force, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", force)
    trap = Trap(tmp_path / "sprung")
    writer({**whole, "conv1.0.weight": trap}, tmp_path / "w.pth")
    with pytest.raises(TeacherError, match="cannot read teacher weights") as caught:
        load_teacher(f"{TINY}@{tmp_path / 'w.pth'}")
    assert "tensors only" in caught.value.hint
    assert not trap.path.exists()
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_named_safetensors_is_refused(tmp_path, whole):
    torch.save(whole, tmp_path / "w.safetensors")
    with pytest.raises(TeacherError, match="cannot read teacher weights"):
        load_teacher(f"{TINY}@{tmp_path / 'w.safetensors'}")


@pytest.mark.parametrize("content", [[1, 2], "text", {"a": 1}, {"a": torch.ones(2).to_sparse()}])
def test_a_file_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(TeacherError, match="holds no state dict"):
        read_weight_file(tmp_path / "w.pth")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    state = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(3, dtype=torch.int64)}
    torch.save(state, folder / "good.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, folder / "good.safetensors")
    return folder


@pytest.mark.parametrize("name", ["good.pth", "old.pth", "good.safetensors"])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused(files, name, data):
    content = bytearray((files / name).read_bytes())
    content = content[: data.draw(st.just(len(content)) | st.integers(0, len(content)), label="length")]
    for _ in range(data.draw(st.integers(0, 4), label="flips")):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = files / f"damaged.{name.rpartition('.')[2]}"
    file.write_bytes(content)
    try:
        state = read_weight_file(file)
    except TeacherError as error:
        assert str(file) in error.message
    else:
        assert all(isinstance(value, torch.Tensor) for value in state.values())


HUB = """
import hashlib, json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

asked = []

class Hub(BaseHTTPRequestHandler):
    def answer(self, body):
        asked.append((self.command, self.path))
        there = self.path == "/timm/test_resnet.r160_in1k/resolve/main/model.safetensors"
        self.send_response(200 if there else 404)
        content = WEIGHTS if there else b""
        if there:
            self.send_header("ETag", '"' + hashlib.sha256(content).hexdigest() + '"')
            self.send_header("X-Repo-Commit", "a" * 40)
        else:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
    def do_GET(self):
        self.answer(True)
    def do_HEAD(self):
        self.answer(False)
    def log_message(self, *arguments):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:%d" % server.server_port
WEIGHTS = Path(sys.argv[1]).read_bytes()

from kdzoo.errors import TeacherError
from kdzoo.teachers.backbone import load_teacher

def refused(name, **options):
    started = time.monotonic()
    try:
        load_teacher(name, **options)
    except TeacherError as error:
        return [error.message, error.hint, time.monotonic() - started]

found = {"offline before": refused("test_resnet", offline=True)}
found["asked offline"] = list(asked)
found["hub"] = hashlib.sha256(load_teacher("test_resnet").weights()).hexdigest()
found["not published"] = refused("resnet18")
found["no hub name"] = refused("resnet200")
server.shutdown()
server.server_close()
before = len(asked)
found["cache"] = hashlib.sha256(load_teacher("test_resnet").weights()).hexdigest()
found["offline cache"] = hashlib.sha256(load_teacher("test_resnet", offline=True).weights()).hexdigest()
found["asked from cache"] = len(asked) - before
found["unreachable"] = refused("resnet34")
print(json.dumps(found))
"""


def test_a_hub_that_serves_its_cache_and_a_hub_that_is_gone(tmp_path, whole, monkeypatch, no_proxy):
    save_file(whole, tmp_path / "model.safetensors")
    expected = hashlib.sha256(load_teacher(f"{TINY}@{tmp_path / 'model.safetensors'}").weights()).hexdigest()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    cache = tmp_path / "hub"
    found = in_new_process(HUB, tmp_path / "model.safetensors", environment={"HF_HUB_CACHE": str(cache)})
    assert found["asked offline"] == []
    assert found["hub"] == found["cache"] == found["offline cache"] == expected
    assert found["asked from cache"] == 0
    for case, said in [
        ("offline before", "KDZOO_OFFLINE is set"),
        ("not published", "no weights for teacher 'resnet18.a1_in1k'"),
        ("no hub name", "timm publishes no weights for 'resnet200'"),
        ("unreachable", "the weight hub cannot be reached"),
    ]:
        message, hint, seconds = found[case]
        assert said in message
        assert all(way in hint for way in ("@weights.safetensors", str(cache), "--teacher kdzoo-tiny"))
        assert seconds < 10
