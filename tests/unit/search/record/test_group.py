"""Several sweeps of one command: what is kept of them, how they stand together, and how they are asked to end."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.command import run
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan

from kdzoo.cli.sweep.several import named_methods
from kdzoo.errors import MissingDependencyError, SweepError, UnknownNameError, UsageError
from kdzoo.methods.registry import installed_methods
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.group import SweepGroup, all_groups, find_group, results_of
from kdzoo.search.record.plan_file import DataDigests, PlanFile
from kdzoo.settings import Settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    make_dataset(tmp_path / "parts")
    return Settings.from_environment()


def group_of(settings, *members):
    return SweepGroup(path=settings.sweeps / "night", members=members, created=5.0)


def planned(settings, place, group):
    """Plans of the members, all of `aand`, the second said to be of `rd`."""
    for name, method in zip(group.members, ("aand", "rd"), strict=True):
        plan = small_plan(place, name=name, trials=2, group=group.name)
        folder = SweepFolder(plan.folder)
        data = dict.fromkeys(plan.spaces, DataDigests(fingerprint="f", split="s"))
        PlanFile(plan=plan, data=data, run_key=name, created=5.0, zoo=plan.settings.zoo).write(folder.plan)
        told = json.loads(folder.plan.read_bytes()) | {"method": method}
        folder.plan.write_text(json.dumps(told))


def outcome(folder, category, objective, **published):
    folder.keep_outcome(
        category,
        {
            "best": 0,
            "objective": objective,
            "metrics": {"test_image_auroc": objective},
            "published": {"release": 1, "note": "first champion", "promoted": True, **published},
            "reason": "",
            "operating_point": {},
        },
    )


def test_a_group_is_written_once_and_found_by_its_name(settings):
    group = group_of(settings, "night-aand", "night-rd")
    group.write()
    assert find_group(settings, "night") == group == all_groups(settings)[0]
    assert find_group(settings, "day") is None
    with pytest.raises(SweepError, match="'night' already"):
        group.write()


def test_groups_of_one_name_are_told_apart(settings):
    group = group_of(settings, "night-aand")
    group.write()
    assert find_group(settings, "night").id == group.id != group_of(settings, "night-aand").id
    told = json.loads((group.path / "group.json").read_bytes())
    del told["id"]
    (group.path / "group.json").write_text(json.dumps(told))
    assert find_group(settings, "night").id == "", "by an earlier kdzoo"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": "kdzoo-sweep-group/9", "members": []}'])
def test_a_damaged_group_is_named(settings, text):
    group = group_of(settings, "night-aand")
    group.write()
    (group.path / "group.json").write_text(text)
    with pytest.raises(SweepError, match=r"group\.json"):
        find_group(settings, "night")


def test_the_methods_stand_beside_each_other_the_best_first(settings, tmp_path):
    group = group_of(settings, "night-aand", "night-rd")
    group.write()
    planned(settings, tmp_path, group)
    summary, rows = results_of(group)
    assert (summary.method, summary.state, summary.planned, summary.done) == ("aand,rd", "interrupted", 8, 0)
    outcome(group.folders[1], "cable", 0.9)
    outcome(group.folders[0], "cable", 0.8)
    _, rows = results_of(group)
    assert [(row.category, row.method, row.objective) for row in rows if row.outcome] == [
        ("cable", "rd", 0.9), ("cable", "aand", 0.8),
    ]  # fmt: skip


def test_show_and_list_know_groups(settings, tmp_path, capsys):
    group = group_of(settings, "night-aand", "night-rd")
    group.write()
    planned(settings, tmp_path, group)
    entry = {"entry": "aand/parts/cable", "over_methods": "first champion"}
    outcome(group.folders[0], "cable", 0.8, leads=True, **entry)
    outcome(group.folders[1], "cable", 0.9, leads=True, **entry | {"over_methods": "beats champion 1 (aand)"})
    shown = run(capsys, "sweep", "show", "night").out
    assert "cable: rd leads over all methods, beats champion 1 (aand)" in shown
    assert "aand leads" not in shown, "it did until the other came"
    assert 'kdzoo.load("parts/cable")' in shown
    assert "kdzoo sweep --resume night" in shown
    assert json.loads(run(capsys, "sweep", "show", "night", "--json").out)["results"][0]["method"] == "aand"
    rows = json.loads(run(capsys, "sweep", "list", "--json").out)
    assert [(row["name"], row["group"]) for row in rows] == [
        ("night", ""), ("night-aand", "night"), ("night-rd", "night"),
    ]  # fmt: skip
    assert rows[0]["members"] == ["night-aand", "night-rd"]


def test_a_sweep_that_was_removed_does_not_hide_the_others(settings, tmp_path, capsys):
    group = group_of(settings, "night-aand", "night-rd")
    group.write()
    planned(settings, tmp_path, group)
    outcome(group.folders[1], "cable", 0.9)
    shutil.rmtree(group.folders[0].path)
    with pytest.raises(SweepError, match="night-aand"):
        results_of(group)
    shown = run(capsys, "sweep", "show", "night")
    assert shown.status == 0
    assert "Left out: night-aand: there is no sweep 'night-aand'" in shown.err
    assert "cable" in shown.out
    assert "`kdzoo sweep show night-rd`" in " ".join(shown.out.split())
    assert json.loads(run(capsys, "sweep", "show", "night", "--json").out)["method"] == "rd"
    shutil.rmtree(group.folders[1].path)
    shown = run(capsys, "sweep", "show", "night")
    assert shown.status == 1
    assert "none of the sweeps of 'night' can be read: night-aand, night-rd" in " ".join(shown.err.split())


def test_a_damaged_group_does_not_hide_the_sweeps_of_others(settings, tmp_path, capsys):
    group = group_of(settings, "night-aand", "night-rd")
    group.write()
    planned(settings, tmp_path, group)
    other = SweepGroup(path=settings.sweeps / "day", members=("day-rd",), created=6.0)
    other.write()
    (other.path / "group.json").write_text("{")
    with pytest.raises(SweepError, match="day"):
        all_groups(settings)
    listed = run(capsys, "sweep", "list", "--json")
    assert listed.status == 0
    assert [row["name"] for row in json.loads(listed.out)] == ["night", "night-aand", "night-rd"]
    assert "Left out: cannot read" in listed.err


def test_one_that_does_not_run_cannot_be_stopped_and_begins_nothing_more(settings, tmp_path, capsys):
    group = group_of(settings, "night-aand", "night-rd")
    group.write()
    planned(settings, tmp_path, group)
    stopped = run(capsys, "sweep", "stop", "night")
    assert stopped.status == 1
    assert group.is_asked_to_stop
    with group.folders[0].driven():
        assert run(capsys, "sweep", "stop", "night").status == 0
        assert group.folders[0].stop.exists()
    group.begin()
    assert not group.is_asked_to_stop


def test_a_group_knows_its_methods(settings, tmp_path, capsys):
    group = group_of(settings, "night-aand", "night-rd")
    group.write()
    planned(settings, tmp_path, group)
    ran = run(capsys, "sweep", "rd", "--resume", "night")
    assert ran.status == 2
    assert "'night' knows its methods" in ran.err
    settled = run(capsys, "sweep", "--resume", "night", "--objective", "aupro")
    assert settled.status == 2
    assert "is settled by the plan" in settled.err


def test_names_of_methods(monkeypatch):
    assert named_methods("rd") is None
    assert named_methods("rd, aand") == ["rd", "aand"]
    assert named_methods("all") == list(installed_methods())
    assert {"rd", "mrkd", "aand", "adps"} <= set(named_methods("all"))
    for wrong in (",", "rd,rd"):
        with pytest.raises(UsageError):
            named_methods(wrong)
    with pytest.raises(UnknownNameError, match="rdd"):
        named_methods("aand,rdd")
    if "stfpm" not in installed_methods():
        with pytest.raises(MissingDependencyError):
            named_methods("rd,stfpm")


def test_of_all_methods_one_that_cannot_be_loaded_is_left_out(tmp_path, monkeypatch, capsys):
    before = named_methods("all")
    for name, text in (("broken", "import no_such_package\n"), ("odd", "METHOD = 3\n")):
        (tmp_path / f"other_{name}.py").write_text(text)
        info = tmp_path / f"other_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: other_{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[kdzoo.methods]\n{name} = other_{name}:METHOD\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    capsys.readouterr()
    assert named_methods("all") == before
    told = capsys.readouterr().err
    assert "broken is left out: the method 'broken' of the package 'other_broken' cannot be loaded" in told
    assert "odd is left out" in told
    with pytest.raises(MissingDependencyError, match="broken"):
        named_methods("rd,broken")


def test_what_one_method_alone_can_take_is_refused(capsys, settings, tmp_path):
    own = tmp_path / "space.yaml"
    own.write_text("learning_rate: 0.001\n")
    ran = run(capsys, "sweep", "rd,aand", "-d", str(tmp_path / "parts"), "--space", str(own))
    assert ran.status == 2
    assert "one method's" in ran.err
    assert not list(Path(settings.sweeps).glob("*"))
