"""Sweeps of several methods as one: in one Ray, stopped and gone on with, and the best of each category in the zoo."""

import dataclasses
import json

import pytest
from helpers.command import run
from helpers.layouts import make_dataset
from helpers.sweeps import Watcher, small_plan

import kdzoo
from kdzoo.category_entry import origin_of
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.group import SweepGroup, results_of
from kdzoo.search.run.in_turn import plan_in_turn, run_in_turn
from kdzoo.search.run.sweep import run_sweep
from kdzoo.search.space.space import SpaceFile
from kdzoo.zoo import open_registry

RD = {"epochs": 2, "epoch_steps": 2, "batch_size": 4, "width": 0.25}


def plans_of(folder):
    """The same categories for `aand` and for `rd`."""
    aand = small_plan(folder, name="both-aand", trials=1, group="both", max_concurrent=1)
    file = SpaceFile("rd")
    spaces = {name: file.space(aand.dataset.name, name, changes=RD) for name in aand.spaces}
    return [aand, dataclasses.replace(aand, name="both-rd", method="rd", spaces=spaces)]


def test_one_command_of_two_methods_stopped_and_gone_on_with(tmp_path, local_ray, capsys, monkeypatch):
    make_dataset(tmp_path / "parts", ("bottle",))
    plans = plans_of(tmp_path)
    settings = plans[0].settings
    group = SweepGroup(path=settings.sweeps / "both", members=tuple(plan.name for plan in plans), created=1.0)
    plan_in_turn(group, plans, zoo=None)
    notes: list[str] = []

    def stop(board):
        if board.running():
            SweepFolder(plans[0].folder).stop.touch()

    def drive(plan, on_update=None):
        return run_sweep(plan, Watcher(on_update), resume=True)

    ran = run_in_turn(group, plans, lambda plan: drive(plan, stop), zoo=None, note=notes.append)
    assert [plan.method for plan, _ in ran] == ["aand"], "what a person stops lets no other begin"
    assert results_of(group)[0].state == "interrupted"

    ran = run_in_turn(group, plans, drive, zoo=None, note=notes.append)
    assert [plan.method for plan, _ in ran] == ["aand", "rd"]
    summary, rows = results_of(group)
    assert (summary.state, {row.method for row in rows}) == ("finished", {"aand", "rd"})

    registry = open_registry(settings)
    best = registry.resolve("best/parts/bottle")
    origin, found = origin_of(best.document), {row.method: row.objective for row in rows}
    assert (best.document["group"], best.document["group_id"]) == ("both", group.id), "also gone on with"
    assert found[origin.entry.method] == max(found.values()), "of one command the better value leads"
    monkeypatch.setenv("KDZOO_HOME", str(settings.home))
    image = next((tmp_path / "parts" / "bottle" / "test").rglob("*.png"))
    detector = kdzoo.load("parts/bottle", device="cpu")
    assert detector.predict(image).score == pytest.approx(
        kdzoo.load(origin.entry.method, "parts/bottle", device="cpu").predict(image).score
    )
    judged = json.loads(run(capsys, "evaluate", "parts/bottle", "-d", str(tmp_path / "parts"), "--json").out)
    assert judged["method"] == origin.entry.method
    ran = run(capsys, "predict", "parts/bottle", str(image), "--out", str(tmp_path / "judged"))
    assert ran.status == 0
