"""Manifests and aliases: canonical on the way out, strict on the way in."""

import dataclasses
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_registry.errors import ManifestInvalidError, NameInvalidError
from zoo_registry.format import strict_json
from zoo_registry.format.alias import Alias
from zoo_registry.format.manifest import BlobRef, Manifest
from zoo_registry.format.names import EntryName

WRITE_ID = "0123456789abcdef" * 2
SHA = "ab" * 32
MANIFEST = Manifest(
    entry=EntryName("rd", "demo", "weave"),
    release=3,
    created="2031-05-06T07:08:09.123456Z",
    write_id=WRITE_ID,
    document={"threshold": 0.5, "metrics": {"val_image_auroc": 0.75}, "tags": ["ä", None, True]},
    blobs={"weights": BlobRef(sha256=SHA, size=10, media_type="application/vnd.safetensors")},
    message="say what",
)
ALIAS = Alias(release=3, updated="2031-05-06T07:08:09Z", write_id=WRITE_ID)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=12,
)


def fields(**changes) -> dict:
    made = json.loads(MANIFEST.to_bytes())
    made.update(changes)
    return made


def encoded(made: object) -> bytes:
    return json.dumps(made).encode()


def test_round_trip():
    assert Manifest.parse(MANIFEST.to_bytes()) == MANIFEST
    assert Alias.parse(ALIAS.to_bytes()) == ALIAS


def test_bytes_are_canonical_and_for_people():
    data = MANIFEST.to_bytes()
    assert data.startswith(b'{\n  "blobs": {\n    "weights": {\n      "media_type"')
    assert data.endswith(b"}\n") and "ä".encode() in data
    turned = dataclasses.replace(MANIFEST, document=dict(reversed(list(MANIFEST.document.items()))))
    assert turned.to_bytes() == data


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values, max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_document_survives(document):
    manifest = dataclasses.replace(MANIFEST, document=document)
    assert Manifest.parse(manifest.to_bytes()).document == document


def test_message_may_be_left_out():
    made = fields()
    del made["message"]
    assert Manifest.parse(encoded(made)) == dataclasses.replace(MANIFEST, message="")


@pytest.mark.parametrize("key", ["schema", "entry", "release", "created", "write_id", "document", "blobs"])
def test_every_required_key_is_required(key):
    made = fields()
    del made[key]
    with pytest.raises(ManifestInvalidError, match=key):
        Manifest.parse(encoded(made))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "kdzoo-alias/1"),
        ("schema", 1),
        ("entry", "rd/demo"),
        ("entry", "rd/../weave"),
        ("entry", 7),
        ("release", 0),
        ("release", -1),
        ("release", 1.0),
        ("release", True),
        ("release", "3"),
        ("release", 10**7),
        ("created", "yesterday"),
        ("created", "2031-02-30T00:00:00Z"),
        ("created", "2031-05-06T07:08:09+02:00"),
        ("created", 5),
        ("write_id", "x" * 32),
        ("write_id", WRITE_ID.upper()),
        ("document", []),
        ("document", None),
        ("blobs", []),
        ("blobs", {"../w": {"sha256": SHA, "size": 1, "media_type": "a/b"}}),
        ("blobs", {"w": {"sha256": SHA[:-1], "size": 1, "media_type": "a/b"}}),
        ("blobs", {"w": {"sha256": SHA.upper(), "size": 1, "media_type": "a/b"}}),
        ("blobs", {"w": {"sha256": SHA + "\n", "size": 1, "media_type": "a/b"}}),
        ("blobs", {"w": {"sha256": None, "size": 1, "media_type": "a/b"}}),
        ("blobs", {"w": {"sha256": SHA, "size": -1, "media_type": "a/b"}}),
        ("blobs", {"w": {"sha256": SHA, "size": 1.5, "media_type": "a/b"}}),
        ("blobs", {"w": {"sha256": SHA, "size": True, "media_type": "a/b"}}),
        ("blobs", {"w": {"sha256": SHA, "size": 1, "media_type": "none"}}),
        ("blobs", {"w": {"sha256": SHA, "size": 1, "media_type": ["a/b"]}}),
        ("blobs", {"w": {"sha256": SHA, "size": 1}}),
        ("blobs", {"w": {"sha256": SHA, "size": 1, "media_type": "a/b", "url": "http://x"}}),
        ("blobs", {"w": "abc"}),
        ("message", "m" * 5000),
        ("message", 5),
        ("surprise", 1),
    ],
)
def test_bad_fields_are_refused(key, value):
    with pytest.raises(ManifestInvalidError, match="my manifest"):
        Manifest.parse(encoded(fields(**{key: value})), what="my manifest")


def test_a_newer_schema_says_upgrade():
    with pytest.raises(ManifestInvalidError, match="kdzoo-manifest/2") as error:
        Manifest.parse(encoded(fields(schema="kdzoo-manifest/2", surprise=1)))
    assert "upgrade" in error.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'{"a": 1, "a": 1}',
        b'{"x": {"a": 1, "a": 2}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a": 1} x',
        b'{"a": 1',
        b'{"a": ' + b"1" * 5000 + b"}",
        '{"a": 1}'.encode("utf-16"),
        b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_json_with_surprises_is_refused(data):
    with pytest.raises(ManifestInvalidError, match="that file"):
        strict_json.parse(data, "that file")


def test_brackets_in_texts_are_not_depth():
    text = "[" * 1000 + '\\"{'
    assert strict_json.parse(json.dumps({"a": text}).encode(), "it") == {"a": text}


def test_64_levels_are_read():
    data = b'{"a": ' + b"[" * 63 + b"]" * 63 + b"}"
    assert strict_json.parse(data, "it")["a"][0][0]


def test_hostile_size_takes_no_time():
    began = time.process_time()
    for data in (b'"' + b'\\"' * 400_000, b'\\"' * 400_000, b'"' * 800_000, b"{" * 800_000, b"x" * (9 * 1024 * 1024)):
        with pytest.raises(ManifestInvalidError):
            strict_json.parse(data, "it")
    assert time.process_time() - began < 10


@pytest.mark.parametrize("value", [float("inf"), object(), {1, 2}, b"x", "\udc80"])
def test_what_is_not_json_is_not_written(value):
    with pytest.raises(ManifestInvalidError, match="rd/demo/weave"):
        dataclasses.replace(MANIFEST, document={"a": value}).to_bytes()


def test_a_cycle_and_twin_keys_are_not_written():
    cycle: dict = {}
    cycle["a"] = cycle
    for document in (cycle, {1: "a", "1": "b"}):
        with pytest.raises(ManifestInvalidError):
            dataclasses.replace(MANIFEST, document=document).to_bytes()


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_end_in_a_registry_error(data):
    for kind in (Manifest, Alias):
        with pytest.raises(ManifestInvalidError):
            kind.parse(data)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_mutated_files_end_in_the_same_or_in_a_registry_error(data):
    whole, kind = data.draw(st.sampled_from([(MANIFEST.to_bytes(), Manifest), (ALIAS.to_bytes(), Alias)]))
    at = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.integers(0, 6))
    put = data.draw(
        st.binary(max_size=6) | st.sampled_from([b'"', b"{", b"[", b"-", b"9" * 30, b"null", b"1e5", b"\\ud800"])
    )
    mutated = whole[:at] + put + whole[at + cut :]
    try:
        read = kind.parse(mutated)
    except ManifestInvalidError:
        return
    assert kind.parse(read.to_bytes()) == read


@given(
    json_values, st.sampled_from(["entry", "release", "created", "write_id", "document", "blobs", "message", "schema"])
)
@settings(max_examples=300, deadline=None)
def test_any_value_of_any_field_ends_in_a_registry_error_or_is_read(value, key):
    try:
        read = Manifest.parse(encoded(fields(**{key: value})))
    except ManifestInvalidError as error:
        assert len(str(error)) < 1000
        return
    assert Manifest.parse(read.to_bytes()) == read


def test_fields_are_checked_on_construction_too():
    with pytest.raises(ManifestInvalidError):
        Alias(release=0, updated=ALIAS.updated, write_id=WRITE_ID)
    with pytest.raises(ManifestInvalidError):
        BlobRef(sha256="x", size=1)
    with pytest.raises(NameInvalidError):
        EntryName("a", "b", "C")
