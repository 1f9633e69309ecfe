"""`kdzoo sweep list`, `show`, `stop` and `--resume`, as far as nothing trains."""

import json
import shutil

import pytest
from helpers.command import run
from helpers.databases import leave_hot
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan

from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan_file import DataDigests, PlanFile
from kdzoo.search.study.studies import CategoryStudies


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set and a home in which the sweep of `night` is; the home is kept in ``kept`` as well."""
    place = tmp_path_factory.mktemp("place")
    make_dataset(place / "parts")
    plan = small_plan(place, name="night", trials=3)
    folder = SweepFolder(plan.folder)
    data = dict.fromkeys(plan.spaces, DataDigests(fingerprint="f", split="s"))
    written = PlanFile(plan=plan, data=data, run_key="night-1", created=0.0, zoo=plan.settings.zoo)
    written.write(folder.plan)
    studies = CategoryStudies(plan.spaces, storage=folder.studies, trials=3, seed=0)
    for category, ends in (("bottle", 2), ("cable", 2)):
        for _ in range(ends):
            studies.ask(category)
        studies.tell(category, 0, objective=0.9, stopped=False, outcome={"status": "finished"})
    studies.tell("bottle", 1, objective=None, stopped=False, reason="nan", outcome={"status": "failed"})
    studies.interrupt("cable", 1)
    studies.close()
    published = {"release": 4, "promoted": True, "note": "first champion"}
    metrics = {"test_image_auroc": 0.875}
    folder.keep_outcome(
        "cable", {"best": 0, "objective": 0.9, "metrics": metrics, "published": published, "reason": ""}
    )
    shutil.copytree(place / "home", place / "kept")
    return place


@pytest.fixture
def night(place, monkeypatch):
    """A sweep of which three trials ended and one was under way when its driver died."""
    shutil.rmtree(place / "home")
    shutil.copytree(place / "kept", place / "home")
    monkeypatch.setenv("KDZOO_HOME", str(place / "home"))
    return SweepFolder(place / "home" / "sweeps" / "night")


def test_no_sweeps(capsys):
    ran = run(capsys, "sweep", "list")
    assert (ran.status, ran.out) == (0, "")
    assert "No sweeps in" in ran.err
    assert json.loads(run(capsys, "sweep", "list", "--json").out) == []


def test_the_list_says_how_far_a_sweep_is(capsys, night):
    ran = run(capsys, "sweep", "list")
    assert ran.status == 0
    for word in ("night", "aand", "parts", "interrupted", "3/6"):
        assert word in ran.out
    with night.driven():
        (listed,) = json.loads(run(capsys, "sweep", "list", "--json").out)
    assert (listed["name"], listed["state"], listed["done"], listed["planned"]) == ("night", "running", 3, 6)
    assert listed["size"] > 1000


def test_a_damaged_sweep_does_not_hide_the_others(capsys, night):
    (night.path.parent / "day").mkdir()
    (night.path.parent / "day" / "plan.json").write_text("{")
    ran = run(capsys, "sweep", "list")
    assert "night" in ran.out
    assert "Left out: cannot read the plan" in ran.err


def test_show_says_what_came_of_each_category_and_what_to_do(capsys, night):
    ran = run(capsys, "sweep", "show", "night")
    assert ran.status == 0
    assert "2/3" in ran.out and "1/3" in ran.out
    assert "0.875" in ran.out and "4: first champion" in ran.out
    assert "kdzoo sweep --resume night" in ran.out
    shown = json.loads(run(capsys, "sweep", "show", "night", "--json").out)
    assert [each["done"] for each in shown["categories"]] == [2, 1]


def test_one_whose_driver_was_killed_while_it_wrote_is_listed_and_shown(capsys, night):
    for arguments in (["list"], ["show", "night"]):
        leave_hot(night.studies, "studies", "study_name")
        ran = run(capsys, "sweep", *arguments, "--json")
        assert (ran.status, ran.err) == (0, "")
        assert "half" not in ran.out and "night" in ran.out


def test_stop_asks_the_driver(capsys, night):
    ran = run(capsys, "sweep", "stop", "night")
    assert ran.status == 1
    assert "'night' is not running" in ran.err
    with night.driven():
        assert run(capsys, "sweep", "stop", "night").status == 0
        assert night.stop.exists()


@pytest.mark.parametrize(
    ("arguments", "named", "hinted"),
    [
        (["show", "nigth"], "unknown sweep 'nigth'; did you mean 'night'?", "night"),
        (["--resume", "nigth"], "did you mean 'night'?", "night"),
        (["--resume", "night", "--name", "day"], "--resume already names the sweep", "--name"),
        (["--resume", "night", "--set", "margin=1"], "--set is settled by the plan", "METHOD"),
        (["--resume", "night", "--image-size", "96"], "--image-size is settled by the plan", "METHOD"),
        (["--resume", "night", "--sampler", "qmc"], "--sampler is settled by the plan", "METHOD"),
        (["--resume", "night", "--warm-start", "day"], "--warm-start is settled by the plan", "METHOD"),
        (["aand", "-d", "demo", "--sampler", "tpr"], "unknown sampler 'tpr'; did you mean 'tpe'?", "qmc"),
        (["aand", "-d", "demo", "--objective", "latency_ms,aupro"], "cannot be the first", "image_auroc,latency_ms"),
        (["aand", "-d", "demo", "--objective", "aupro,latency"], "did you mean 'latency_ms'?", "parameters"),
        (["aand", "-d", "demo", "--priority", "worst"], "did you mean 'worst-first'?", "fair"),
        (["aand", "-d", "demo", "--warm-start", "x", "--no-warm-start"], "disagree", "one of them"),
        (["aand"], "--dataset is missing", "kdzoo sweep aand"),
        ([], "METHOD is missing", "kdzoo sweep aand"),
        (["lst"], "unknown method or command 'lst'; did you mean 'list'?", "aand"),
        (["aand", "-d", "demo", "--ray-address", "head"], "'head' is no Ray address", "10.0.0.5:6379"),
        (["aand", "-d", "demo", "--ray-address", "ray://head:10001"], "cannot run through the Ray client", "submit"),
        (["aand", "-d", "{parts}", "--gpu-hours", "1", "--gpus-per-trial", "0"], "hold no GPU", "--time-budget"),
    ],
)
def test_wrong_usage(capsys, night, place, arguments, named, hinted):
    ran = run(capsys, "sweep", *(word.format(parts=place / "parts") for word in arguments))
    assert ran.status == 2
    assert named in ran.err and hinted in ran.err
    assert "Making" not in ran.err


def test_a_command_that_asks_for_another_plan_is_refused(capsys, night, place):
    ran = run(capsys, "sweep", "rd", "-d", place / "parts", "--teacher", "random-resnet18", "--resume", "night")
    assert ran.status == 1
    assert "method is rd, was aand" in ran.err


def test_another_way_to_search_is_refused_on_resume(capsys, night, place):
    same = ["aand", "-d", place / "parts", "--teacher", "random-resnet18", "--image-size", "64", "--resume", "night"]
    ran = run(capsys, "sweep", *same, "--sampler", "random", "--priority", "worst-first", "--no-warm-start")
    assert ran.status == 1
    for difference in (
        "sampler is random, was tpe",
        "priority is worst-first, was fair",
        "warm_start is False, was True",
    ):
        assert f"strategy.{difference}" in ran.err


def test_a_failed_sweep_is_listed_with_its_reason(capsys, night):
    night.end("failed", "no node of the cluster is left")
    listed = run(capsys, "sweep", "list")
    assert "failed" in listed.out and "night failed: no node of the cluster is left" in listed.out
    (told,) = json.loads(run(capsys, "sweep", "list", "--json").out)
    assert (told["state"], told["reason"]) == ("failed", "no node of the cluster is left")
    shown = run(capsys, "sweep", "show", "night")
    assert "it failed: no node of the cluster is left" in shown.out and "--resume night" in shown.out


def test_show_has_the_pareto_front(capsys, night):
    kept = night.outcome("cable")
    front = [{"number": 7, "objectives": {"aupro": 0.8125, "latency_ms": 3.5}, "config": {"margin": 0.5}}]
    night.keep_outcome("cable", {**kept, "pareto": front})
    ran = run(capsys, "sweep", "show", "night")
    assert "Pareto" in ran.out and "0.8125" in ran.out and "3.5" in ran.out
    shown = json.loads(run(capsys, "sweep", "show", "night", "--json").out)
    assert shown["categories"][1]["outcome"]["pareto"] == front
    night.keep_outcome("cable", {**kept, "pareto": [{**front[0], "timed_on": "NVIDIA H200"}]})
    assert "NVIDIA H200" in run(capsys, "sweep", "show", "night").out


def test_data_that_changed_is_refused_before_anything_runs(capsys, night):
    ran = run(capsys, "sweep", "--resume", "night")
    assert ran.status == 1
    assert "data.bottle.fingerprint is" in ran.err
    assert night.state() == "interrupted"


def test_other_images_at_the_new_place_of_a_data_set_are_refused(capsys, night, place, tmp_path):
    shutil.copytree(place / "parts", tmp_path / "elsewhere")
    (place / "parts").rename(place / "gone")
    try:
        ran = run(capsys, "sweep", "--resume", "night")
        assert ran.status == 1 and "--dataset PATH, beside --resume" in ran.err
        ran = run(capsys, "sweep", "--resume", "night", "--dataset", tmp_path / "elsewhere")
        assert ran.status == 1 and "data.bottle.fingerprint is " in ran.err  # the fixture's are made up
    finally:
        (place / "gone").rename(place / "parts")
