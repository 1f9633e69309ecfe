"""Work done by several threads, its results in order, with a bound on how much is under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_order(work: Callable[[_In], _Out], items: Iterable[_In], *, workers: int) -> Iterator[_Out]:
    """``work(item)`` of each item, in the items' order, by ``workers`` threads.

    At most ``workers`` results and items are held at a time, so that parts of a large file do not pile up in memory.
    ``items`` is drawn from in the caller's thread.

    Args:
        work: called in a thread.
        items: what to work on; may be without end.
        workers: how many threads, at least 1.

    Raises:
        Exception: whatever ``work`` raises, of the first item that failed; what was not begun is not done then.
    """
    waiting: deque[Future[_Out]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) == workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
