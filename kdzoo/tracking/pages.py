"""MLflow's searches, whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def all_pages(fetch: Callable[[str | None], Any]) -> Iterator[Any]:
    """Every item of a paged MLflow search.

    Args:
        fetch: takes the page token, None for the first page.
    """
    token: str | None = None
    while True:
        page = fetch(token)
        yield from page
        token = page.token
        if not token:
            return
