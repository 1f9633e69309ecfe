"""How often a test of a promise is repeated: few times by default, as promised on demand."""

import os


def repeats(name: str, default: int, full: int) -> int:
    """The count of a test.

    ``ZOO_TEST_<NAME>=n`` sets one, ``ZOO_TEST_FULL=1`` sets all to ``full``. Read when a test module is imported.
    """
    given = os.environ.get(f"ZOO_TEST_{name}")
    if given:
        return int(given)
    return full if os.environ.get("ZOO_TEST_FULL") else default
