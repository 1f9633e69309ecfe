"""Rows of single images, what went wrong first; and lines of defect types from documents of strangers."""

import csv

from kdzoo.cli.by_type import type_lines
from kdzoo.cli.image_rows import COLUMNS, write_image_rows


def test_misses_come_first_then_false_alarms_then_the_closest_calls(tmp_path):
    names = ["far", "near", "alarm", "loud", "found", "clear"]
    kinds = ["dent", "dent", "good", "good", "dent", "good"]
    labels, scores = [1, 1, 0, 0, 1, 0], [0.1, 0.4, 0.6, 0.9, 0.7, 0.0]
    write_image_rows(tmp_path / "t" / "rows.csv", names, kinds, labels, scores, 0.5)
    with (tmp_path / "t" / "rows.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["image"], row["decision"]) for row in rows] == [
        ("far", "missed"), ("near", "missed"), ("loud", "false alarm"), ("alarm", "false alarm"),
        ("found", "found"), ("clear", "passed"),
    ]  # fmt: skip
    assert float(rows[0]["distance"]) == 0.1 - 0.5


def test_on_the_threshold_nothing_alarms(tmp_path):
    write_image_rows(tmp_path / "rows.csv", ["a"], ["dent"], [1], [0.5], 0.5)
    assert "missed" in (tmp_path / "rows.csv").read_text()


def test_lines_leave_out_what_no_type_has():
    share = {"count": 1, "of": 4, "low": 0.1, "high": 0.8}
    found = {"dent": {"images": 4, "image_auroc": 0.5, "misses": share}, "hole": {"images": 2, "misses": None}}
    head, dent, hole = type_lines(found)
    assert "image AUROC" in head and "AUPRO" not in head
    assert "0.5000" in dent and "1 of 4" in dent
    assert hole.split()[-1] == "–"
    assert type_lines({"dent": found["dent"]}) == [], "one type is all there is"
    assert type_lines({"dent": 3, "hole": {"images": True, "misses": 3, "image_auroc": "x"}, "odd": {}})[0]
