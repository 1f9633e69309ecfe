"""What tells one zoo from another."""

import json

import pytest

from zoo_registry.errors import ManifestInvalidError
from zoo_registry.format.identity import Identity


def test_there_and_back():
    made = Identity.new()
    assert Identity.parse(made.to_bytes()) == made
    assert made.id != Identity.new().id


@pytest.mark.parametrize(
    "change",
    [
        {"id": "A" * 32},
        {"id": "a" * 31},
        {"id": None},
        {"created": "yesterday"},
        {"created": 1},
        {"more": 1},
        {"schema": "kdzoo-zoo/0"},
    ],
)
def test_what_is_none_is_refused(change):
    fields = json.loads(Identity.new().to_bytes()) | change
    with pytest.raises(ManifestInvalidError, match="my file"):
        Identity.parse(json.dumps(fields).encode(), what="my file")
