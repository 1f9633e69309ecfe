"""What a log is told of a sweep, and what stands in the table at its end."""

import dataclasses
import json
import re

import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan

from kdzoo.cli.sweep.live import LiveView
from kdzoo.cli.sweep.results import show_results
from kdzoo.search.record.board import CategoryOutcome, SweepBoard, TrialRow
from kdzoo.zoo import Published


@pytest.fixture
def board():
    return SweepBoard(("bottle", "cable"), trials=1, objective="aupro")


def begin(board, category):
    row = TrialRow(f"{category}-0", category, 0, {}, total_epochs=2)
    board.start(row)
    return row


def outcome(category, *, best=None, published=None, reason=""):
    return CategoryOutcome(
        category=category, best=best, metrics={}, published=published, seconds=1.0, gpu_seconds=0.0, reason=reason
    )


def test_a_log_has_a_word_for_every_long_wait(capsys, board):
    view = LiveView("aand on parts")
    view.preparing("bottle", 0, 1)
    view.preparing("", 1, 1)
    view.update(board)
    row = begin(board, "bottle")
    view.update(board)
    view.update(board)
    board.end(row, "finished")
    view.update(board)
    view.update(board)
    board.outcomes["bottle"] = outcome("bottle", published=Published(release=1, promoted=True, note="first champion"))
    view.update(board)
    said = capsys.readouterr()
    assert said.out == ""
    starts = (
        "Making bottle",
        "Waiting for Ray",
        "Training has begun",
        "[1/2] bottle",
        "bottle has had",
        "bottle is me",
    )
    lines = [line.split(" ", 2) for line in said.err.splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", f"{day} {hour}") for day, hour, _ in lines)
    assert [line[: len(start)] for (_, _, line), start in zip(lines, starts, strict=True)] == list(starts)


def test_measuring_and_publishing_are_progress_too(capsys, board):
    view = LiveView("aand on parts")
    rows = [begin(board, category) for category in ("bottle", "cable")]
    view.update(board)
    board.end(rows[0], "finished")
    board.concludes("bottle", "measuring")
    view.update(board)
    board.concludes("bottle", "publishing")
    view.update(board)
    view.update(board)
    board.end(rows[1], "finished")
    board.concludes("cable", "measuring")
    view.update(board)
    said = [line.split(" ", 2)[2] for line in capsys.readouterr().err.splitlines()]
    assert "bottle is being published" in said and said.count("bottle is being published") == 1
    (last,) = (line for line in said if line.startswith("[2/2] cable"))
    assert last.endswith("? left, 2 of 2 categories being measured or published")
    assert "0:00:00 left" not in last


def test_why_nothing_was_published_stands_in_the_results_once(capsys, board, tmp_path):
    make_dataset(tmp_path / "parts")
    plan = small_plan(tmp_path, name="night", trials=1)
    best = begin(board, "cable")
    best.config = plan.spaces["cable"].defaults.as_dict()
    board.outcomes["bottle"] = outcome("bottle", reason="no trial was measured")
    board.outcomes["cable"] = outcome("cable", best=best, reason="not published: no rights")
    show_results(board, plan, as_json=False)
    out = capsys.readouterr().out
    assert out.count("bottle: no trial was measured") == out.count("no trial was measured") == 1
    assert out.count("trial 0, the published configuration; not published: no rights") == out.count("no rights") == 1


def test_alarms_and_misses_at_the_threshold_stand_below_the_metrics(capsys, board, tmp_path):
    make_dataset(tmp_path / "parts")
    plan = small_plan(tmp_path, name="night", trials=1)
    alarms, misses = (
        {"count": 2, "of": 9, "low": 0.0281, "high": 0.6001},
        {"count": 1, "of": 12, "low": 0.0, "high": 0.4},
    )
    stated = {"origin": "selection", "false_alarms": alarms, "asked_rate": 0.3, "expected_rate": 0.3, "at_most": 0.55}
    point = {
        "calibration": {**stated, "holds": True},
        "selection": {"misses": misses},
        "report": {"false_alarms": alarms},
    }
    board.outcomes = {
        "bottle": dataclasses.replace(outcome("bottle"), operating_point=point),
        "cable": outcome("cable"),
    }
    show_results(board, plan, as_json=False)
    said = capsys.readouterr().out
    assert "– → 2 of 9 (2.8 to 60.0 %)" in said and "1 of 12 (0 to 40.0 %) → –" in said
    assert "30.0 % expected, at most 55.0 %" in said and "cannot show" not in said
    point["calibration"] |= {"holds": False, "images_to_hold": 3, "images_to_show": 9}
    show_results(board, plan, as_json=False)
    said = capsys.readouterr().out
    assert "at most 55.0 %" in said and "30.0 % expected" not in said
    assert said.count("bottle: 9 normal images cannot show 30.0 %: 3 would hold it on average") == 1
    show_results(board, plan, as_json=True)
    assert json.loads(capsys.readouterr().out)["categories"][0]["operating_point"] == point
