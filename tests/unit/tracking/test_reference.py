import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import TrackingError
from kdzoo.tracking import ReleaseRef
from kdzoo.tracking.reference import MAX_BYTES, model_name

REF = ReleaseRef(zoo="s3://plant/zoo", entry="rd/demo/weave", release=3, manifest_sha256="ab" * 32)


def changed(**fields):
    return json.dumps({**json.loads(REF.to_bytes()), **fields}).encode()


def test_a_reference_comes_back():
    assert ReleaseRef.parse(REF.to_bytes()) == REF


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\x80\x04",
        b"[" * 10_000,
        b" " * (MAX_BYTES + 1),
        changed(schema="kdzoo-reference/2"),
        changed(release=0),
        changed(release=True),
        changed(release="3"),
        changed(manifest_sha256="AB" * 32),
        changed(manifest_sha256="ab"),
        changed(zoo=None),
        changed(extra=1),
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(TrackingError, match="no reference"):
        ReleaseRef.parse(data)


@given(st.binary(max_size=80))
def test_no_damage_escapes_as_another_error(data):
    with pytest.raises(TrackingError):
        ReleaseRef.parse(data)


def test_entries_that_differ_have_models_that_differ():
    names = ["a/b.c/d", "a/b/c.d", "a.b/c/d", "a/b/c", "a/b-c/d"]
    assert len({model_name(name) for name in names}) == len(names)
    assert model_name("rd/demo/weave") == "kdzoo.rd.demo.weave"
    assert not any(set(model_name(name)) & set("/:") for name in names)
