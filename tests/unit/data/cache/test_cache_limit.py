import pytest

from kdzoo.errors import UsageError
from kdzoo.settings import Settings


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GB", 50 * 10**9),
        ("1.5 TB", 15 * 10**11),
        ("2GiB", 2 * 2**30),
        ("64 mb", 64 * 10**6),
        ("10k", 10_000),
        ("0", 0),
        ("123456", 123456),
        (" ", None),
    ],
)
def test_sizes(text, size):
    assert Settings.from_environment({"KDZOO_CACHE_LIMIT": text}).cache_limit == size


@pytest.mark.parametrize("text", ["lots", "-1", "5 XB", "1e9", "GB", "1,5GB", "50 GB GB", "nan", "9" * 400])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="KDZOO_CACHE_LIMIT") as caught:
        Settings.from_environment({"KDZOO_CACHE_LIMIT": text})
    assert "50GB" in caught.value.hint
