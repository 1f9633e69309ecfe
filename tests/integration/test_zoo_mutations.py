"""Files from outside, mutated: each is read, or refused with an error of the house; nothing else ever comes out."""

import json
import random

import pytest
import torch
from helpers.counts import repeats

from kdzoo.errors import KdzooError
from kdzoo.training.checkpoint import load_tensors, save_tensors
from zoo_registry.errors import RegistryError
from zoo_registry.format.alias import Move
from zoo_registry.format.manifest import BlobRef, Manifest
from zoo_registry.format.names import EntryName

MUTATIONS = repeats("MUTATIONS", 20_000, 20_000)
TOKENS = [b"null", b"-1", b"1e999", b"NaN", b"[[[[", b"{", b'"', b"\\u0000", b"\xff", b"../", b"true", b"9" * 400, b","]


def mutate(dice: random.Random, data: bytes) -> bytes:
    """One to three small changes at random places."""
    for _ in range(dice.randint(1, 3)):
        at, kind = dice.randrange(len(data) + 1), dice.randrange(6)
        if kind == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at]
        elif kind == 2:
            data = data[:at] + data[min(len(data), at + dice.randint(1, 20)) :]
        elif kind == 3:
            data = data[:at] + dice.choice(TOKENS) + data[at:]
        elif kind == 4:
            end = min(len(data), at + dice.randint(1, 60))
            data = data[:end] + data[at:end] + data[end:]
        else:
            data = data[:at] + dice.randbytes(dice.randint(1, 8)) + data[at + dice.randint(0, 8) :]
    return data


def outcomes(data: bytes, count: int, seed: int, read) -> tuple[int, int]:
    """How many mutations were refused, and how many read; any error but the house's own goes through."""
    dice, refused = random.Random(seed), 0
    for _ in range(count):
        try:
            read(mutate(dice, data))
        except (KdzooError, RegistryError) as error:
            assert str(error)
            refused += 1
    return refused, count - refused


@pytest.fixture
def manifest():
    return Manifest(
        entry=EntryName.parse("aand/demo/weave"),
        release=3,
        created="2031-05-06T07:08:09.123456Z",
        write_id="f" * 32,
        document={"objective": {"name": "image_auroc", "value": 0.9}, "scores": [0.1, 0.2], "note": "größer"},
        blobs={"weights": BlobRef(sha256="a" * 64, size=5), "teacher": BlobRef(sha256="b" * 64, size=7)},
    )


def test_mutated_manifests(manifest):
    refused, read = outcomes(manifest.to_bytes(), MUTATIONS * 2 // 5, 1, Manifest.parse)
    assert refused > read > 0


def test_mutated_aliases():
    move = Move(release=3, updated="2031-05-06T07:08:09Z", write_id="e" * 32, number=2, previous=1, who="a@b", why="x")
    refused, read = outcomes(move.to_bytes(), MUTATIONS * 2 // 5, 2, Move.parse)
    assert refused > read > 0


def test_mutated_tensors(tmp_path):
    """What is read has the names, shapes and dtypes that were asked for, and finite numbers."""
    tensors = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.zeros(2), "n": torch.tensor(3)}
    save_tensors(tmp_path / "good", tensors)
    path = tmp_path / "bad"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        found = load_tensors(path, tensors)
        assert {name: (one.shape, one.dtype) for name, one in found.items()} == {
            name: (one.shape, one.dtype) for name, one in tensors.items()
        }
        assert all(one.isfinite().all() for one in found.values())

    refused, read_well = outcomes((tmp_path / "good").read_bytes(), MUTATIONS // 5, 3, read)
    assert refused > read_well > 0


def test_a_mutation_is_a_change(manifest):
    """Else the counts above would count nothing."""
    dice, data = random.Random(4), manifest.to_bytes()
    assert sum(mutate(dice, data) != data for _ in range(200)) > 180
    assert json.loads(data)["release"] == 3
