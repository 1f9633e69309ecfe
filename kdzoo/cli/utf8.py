"""File names as every other machine reads them: Python takes them for UTF-8, whatever the terminal can show."""

from __future__ import annotations

import os
import sys


def begin_again_in_utf8() -> None:
    """Begins this program again in Python's UTF-8 mode where names of files would not be read as UTF-8.

    In a locale such as ``de_DE.ISO-8859-1`` a folder ``größe`` has another name for Python than in all others, and with
    it another digest; in a bare one no name at all. What is printed keeps the terminal's encoding.
    """
    if sys.getfilesystemencoding().lower() in ("utf-8", "utf8") or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
