"""Whether a champion takes part in a final round: only where it was trained and judged as the sweep's trials are."""

import copy
import dataclasses
from types import SimpleNamespace

import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan

from kdzoo.search.record.plan_file import DataDigests
from kdzoo.search.run.final_round import champion_config

DATA = DataDigests(fingerprint="f1", split="s1")


@pytest.fixture
def plan(tmp_path):
    make_dataset(tmp_path / "parts", ("bottle",))
    return small_plan(tmp_path, name="round", trials=1)


def found(plan, document, data=DATA):
    registry = SimpleNamespace(
        read_alias=lambda entry, alias: SimpleNamespace(release=3),
        resolve=lambda entry, release: SimpleNamespace(document=document),
    )
    return champion_config(registry, plan, "bottle", data, pytest.fail)


def document_of(plan, **dataset):
    spec = plan.spec("bottle", {})
    return {
        "options": spec.options.published(),
        "config": spec.config.as_dict(),
        "dataset": {"fingerprint": "f1", "foreground": {"rule": "auto", "share": 1.0}, **dataset},
        "split": {"digest": "s1"},
    }


def changed(document, *path, value):
    made = copy.deepcopy(document)
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return made


def test_one_that_was_trained_alike_takes_part(plan):
    document = document_of(plan)
    assert found(plan, document) == document["config"]
    assert found(plan, changed(document, "options", "seed", value=7)) == document["config"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("options", "image_size"), 96),
        (("options", "synthesis"), "nsa"),
        (("dataset", "fingerprint"), "f2"),
        (("split", "digest"), "s2"),
        (("dataset", "textures"), {"sha256": "t1"}),
        (("dataset", "foreground"), {"sha256": "m1"}),
    ],
)
def test_one_of_other_options_or_data_does_not(plan, path, value):
    assert found(plan, changed(document_of(plan), *path, value=value)) is None


def test_folders_are_told_by_their_names_and_compared_by_what_is_in_them(plan):
    """The release does not say where masks and textures were; their digests must be the same."""
    options = plan.options.replace(textures="folder:/mnt/a/stains", foreground="masks:/mnt/a/lids")
    asked = dataclasses.replace(plan, options=options)
    document = document_of(asked, textures={"sha256": "t1"}, foreground={"sha256": "m1"})
    assert document["options"]["textures"] == "folder:stains"
    assert document["options"]["foreground"] == "masks:lids"
    data = dataclasses.replace(DATA, textures="t1", foreground="m1")
    assert found(asked, document, data) == document["config"]
    assert found(asked, document, dataclasses.replace(data, textures="t2")) is None
    assert found(asked, document, dataclasses.replace(data, foreground="m2")) is None
