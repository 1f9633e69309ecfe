"""Which names a piece of work opens for writing or gives to a file: an audit hook sees them, also those that pass."""

import os
import sys
from contextlib import contextmanager
from pathlib import Path

_watched: list[tuple[str, set[str]]] = []
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


def _hook(event, told):
    if not _watched:
        return
    names = ()
    if event == "open" and isinstance(told[2], int) and told[2] & _WRITING:
        names = told[:1]
    elif event in ("os.rename", "os.link", "shutil.copyfile", "shutil.move"):
        names = told[1:2]
    elif event == "sqlite3.connect":
        names = told[:1]
    for name in names:
        if isinstance(name, str | bytes | os.PathLike):
            path = str(Path(os.fsdecode(name)).absolute())
            for root, seen in _watched:
                if path.startswith(root + os.sep):
                    seen.add(path[len(root) + 1 :])


_hooked = False


@contextmanager
def watched(root: Path):
    """The set of names below ``root``, as relative paths, that the block writes to; it fills as the block runs."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)  # there is no way to take one away
        _hooked = True
    seen: set[str] = set()
    _watched.append((str(root), seen))
    try:
        yield seen
    finally:
        _watched.pop()
