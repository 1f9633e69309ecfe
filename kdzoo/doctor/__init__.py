"""Looks at everything that a sweep will lean on, before it does."""

from kdzoo.doctor.examine import examine
from kdzoo.doctor.finding import Asked, Finding

__all__ = ["Asked", "Finding", "examine"]
