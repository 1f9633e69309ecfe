"""Draws the house from its imports, and prints a table of it: ``python docs/draw_house.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from house.imports import read_house
from house.pictures import pictures
from house.table import table

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"


def main() -> None:
    """Writes the pictures and prints the table; of another tree, prints alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, metavar="TREE", help="only print the table of the checkout at TREE")
    tree = parser.parse_args().table
    if tree is None:
        for name, text in pictures(read_house(ROOT)).items():
            (IMAGES / name).write_text(text, encoding="utf-8", newline="\n")
    print(table(read_house(tree or ROOT)))


if __name__ == "__main__":
    main()
