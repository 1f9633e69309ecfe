"""Digests as people paste them."""

import hashlib

import pytest

from zoo_registry.errors import ManifestInvalidError, NameInvalidError
from zoo_registry.format.digests import check_bytes, check_digest, digest_of


def test_it_is_the_sha256_in_words():
    assert check_digest(digest_of(b"x")) == f"sha256:{hashlib.sha256(b'x').hexdigest()}"
    check_bytes(b"x", digest_of(b"x"), "it")


@pytest.mark.parametrize("text", ["", "sha256:", "0" * 64, "sha256:" + "A" * 64, "sha256:" + "0" * 63, None, 3, b"x"])
def test_what_is_none_is_refused(text):
    with pytest.raises(NameInvalidError, match="is not of the form sha256"):
        check_digest(text)


def test_other_bytes_are_refused_and_both_are_named():
    with pytest.raises(ManifestInvalidError) as error:
        check_bytes(b"y", digest_of(b"x"), "it")
    assert digest_of(b"x") in str(error.value) and digest_of(b"y") in str(error.value)
