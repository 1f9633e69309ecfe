"""Numbers of bytes as people read them: ``1.2 GB``."""

from __future__ import annotations


def size_text(size: int) -> str:
    """Bytes for people, in powers of 1000: ``1.2 GB``."""
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
