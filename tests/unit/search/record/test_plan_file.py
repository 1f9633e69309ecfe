"""The plan on disk: it comes back as it was, and what another plan changes is named."""

import dataclasses
import json

import pytest
from helpers.layouts import make_dataset, write_mask
from helpers.sweeps import small_plan
from PIL import Image

from kdzoo.errors import DatasetNotFoundError, SweepError
from kdzoo.search.record.plan_file import DataDigests, PlanFile, moved_home
from kdzoo.search.run.preparation import Preparation
from kdzoo.search.study.strategy import Strategy

DATA = {"bottle": DataDigests(fingerprint="f1", split="s1")}


@pytest.fixture
def written(tmp_path):
    make_dataset(tmp_path / "parts", ("bottle",))
    plan = small_plan(tmp_path, name="night", trials=3, command="kdzoo sweep aand -d parts")
    found = PlanFile(plan=plan, data=DATA, run_key="night-1", created=5.0, zoo="s3://me:secret@host/zoo")
    found.write(plan.folder / "plan.json")
    return found


def read(written):
    return PlanFile.read(written.plan.folder / "plan.json", written.plan.settings)


def test_it_comes_back_as_it_was(written):
    found = read(written)
    assert found.plan == written.plan
    assert (found.data, found.run_key, found.created) == (DATA, "night-1", 5.0)
    assert found.differences(written.plan, DATA) == []


def test_textures_stand_in_the_plan_where_there_are_any(written):
    told = json.loads((written.plan.folder / "plan.json").read_text())
    assert told["data"] == {"bottle": {"fingerprint": "f1", "split": "s1", "foreground": None}}
    assert not {"textures", "synthesis"} & set(told["options"])
    textures = {"bottle": dataclasses.replace(DATA["bottle"], textures="t1")}
    assert written.differences(written.plan, textures) == ["data.bottle.textures is t1, was (none)"]
    options = written.plan.options.replace(synthesis="nsa")
    asked = dataclasses.replace(written, plan=dataclasses.replace(written.plan, options=options), data=textures)
    asked.write(written.plan.folder / "plan.json")
    found = read(written)
    assert (found.data, found.plan.options.synthesis) == (textures, "nsa")
    assert found.differences(written.plan, DATA) == [
        "options.synthesis is (none), was nsa",
        "data.bottle.textures is (none), was t1",
    ]


def test_a_plan_of_an_earlier_kdzoo_gets_its_teachers_full_name(written):
    """It named a hub's weights without their tag; asking for them by either name is no other plan."""
    path = written.plan.folder / "plan.json"
    told = json.loads(path.read_text())
    told["options"]["teacher"] = "wide_resnet50_2"
    path.write_text(json.dumps(told))
    found = read(written)
    assert found.plan.options.teacher == "wide_resnet50_2.racm_in1k"
    same = dataclasses.replace(written.plan, options=written.plan.options.replace(teacher="wide_resnet50_2.racm_in1k"))
    assert found.differences(same, DATA) == []
    other = dataclasses.replace(same, options=same.options.replace(teacher="wide_resnet50_2.tv_in1k"))
    assert found.differences(other, DATA) == [
        "options.teacher is wide_resnet50_2.tv_in1k, was wide_resnet50_2.racm_in1k"
    ]


def test_a_plan_of_an_earlier_kdzoo_names_no_command(written):
    path = written.plan.folder / "plan.json"
    told = json.loads(path.read_text())
    assert told.pop("command") == "kdzoo sweep aand -d parts"
    path.write_text(json.dumps(told))
    assert read(written).plan == dataclasses.replace(written.plan, command="")


def test_a_plan_of_an_earlier_kdzoo_goes_on_in_float32(written):
    """It had no other."""
    path = written.plan.folder / "plan.json"
    told = json.loads(path.read_text())
    assert told["options"].pop("precision") == "auto"
    path.write_text(json.dumps(told))
    found = read(written)
    assert found.plan.options == written.plan.options.replace(precision="float32")
    assert found.differences(written.plan, DATA) == ["options.precision is auto, was float32"]


def test_no_password_is_written(written):
    assert "secret" not in (written.plan.folder / "plan.json").read_text()


def test_more_trials_extend_it_and_fewer_are_refused(written):
    assert written.differences(dataclasses.replace(written.plan, trials=4), DATA) == []
    assert written.differences(dataclasses.replace(written.plan, trials=2), DATA) == ["trials is 2, was 3"]


def test_what_decides_a_trial_may_not_change(written):
    plan, space = written.plan, written.plan.spaces["bottle"]
    key = next(iter(space.dimensions))
    fewer = {name: space.dimensions[name] for name in space.dimensions if name != key}
    changed = dataclasses.replace(space, defaults=space.defaults.replace(batch_size=8), dimensions=fewer)
    other = dataclasses.replace(plan, options=plan.options.replace(image_size=96), spaces={"bottle": changed})
    found = written.differences(other, {"bottle": DataDigests(fingerprint="f2", split="s1")})
    assert "options.image_size is 96, was 64" in found
    assert "data.bottle.fingerprint is f2, was f1" in found
    assert "spaces.bottle.defaults.batch_size is 8, was 4" in found
    assert any(line.startswith(f"spaces.bottle.dimensions.{key}.kind is (none), was") for line in found)
    with pytest.raises(SweepError, match=r"'night' cannot go on with another plan: .* and \d+ more") as caught:
        written.check(other, DATA)
    assert "kdzoo sweep --resume night" in caught.value.hint


def test_how_a_sweep_searches_may_not_change_but_its_budgets_may(written):
    before, now = written.plan, Strategy(sampler="random", also=("latency_ms",), warm_start=False)
    assert written.differences(dataclasses.replace(before, strategy=now), DATA) == [
        "strategy.sampler is random, was tpe",
        "strategy.also is ['latency_ms'], was []",
        "strategy.warm_start is False, was True",
    ]
    assert written.differences(dataclasses.replace(before, gpu_hours=2.0, time_budget=3.0), DATA) == []
    assert written.differences(dataclasses.replace(before, command="kdzoo sweep --resume x"), DATA) == []


def test_a_persons_masks_may_not_change(written, tmp_path):
    def prepared():
        rule = f"masks:{tmp_path / 'masks'}"
        plan = dataclasses.replace(written.plan, options=written.plan.options.replace(foreground=rule))
        return Preparation(plan).digests

    images = sorted((tmp_path / "parts" / "bottle" / "train" / "good").iterdir())
    with Image.open(images[0]) as opened:
        size = opened.size
    for image in images:
        write_mask(tmp_path / "masks" / image.name, size=size)
    before = prepared()
    assert before == prepared()
    Image.new("L", size, 255).save(tmp_path / "masks" / images[0].name)
    (difference,) = dataclasses.replace(written, data=before).differences(written.plan, prepared())
    assert difference.startswith("data.bottle.foreground is ")
    assert Preparation(written.plan).digests["bottle"].foreground is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot read the plan"),
        ("[" * 100_000, "cannot read the plan"),
        ("[]", "schema 'list'"),
        ('{"schema": "kdzoo-sweep/9"}', "schema 'kdzoo-sweep/9'"),
        ('{"schema": "kdzoo-sweep/1"}', "is damaged: KeyError"),
    ],
)
def test_a_damaged_plan_is_an_error(written, text, problem):
    (written.plan.folder / "plan.json").write_text(text)
    with pytest.raises(SweepError, match=problem):
        read(written)


def test_a_space_of_another_form_is_an_error(written):
    file = written.plan.folder / "plan.json"
    told = json.loads(file.read_text())
    told["spaces"]["bottle"]["dimensions"][0]["colour"] = "red"
    file.write_text(json.dumps(told))
    with pytest.raises(SweepError, match=r"damaged.*colour"):
        read(written)


def test_a_sweep_that_is_not_there(written, tmp_path):
    with pytest.raises(SweepError, match="no sweep 'day'"):
        PlanFile.read(tmp_path / "day" / "plan.json", written.plan.settings)


def test_what_lies_in_a_home_that_was_moved_is_found_in_the_home_of_now(written, tmp_path):
    plan = written.plan
    inside = plan.settings.home / "parts"
    (tmp_path / "parts").rename(inside)
    dataset = dataclasses.replace(plan.dataset, root=inside)
    there = dataclasses.replace(
        written, plan=dataclasses.replace(plan, dataset=dataset), zoo=str(plan.settings.home / "zoo")
    )
    there.write(plan.folder / "plan.json")
    now = tmp_path / "moved"
    plan.settings.home.rename(now)
    found = PlanFile.read(now / "sweeps/night/plan.json", dataclasses.replace(plan.settings, home=now))
    assert (found.plan.dataset.root, found.zoo) == (now / "parts", str(now / "zoo"))
    assert found.differences(found.plan, DATA) == []
    assert moved_home("s3://bucket/zoo", "/old", plan.settings) == "s3://bucket/zoo"
    assert moved_home("/older/parts", "/old", plan.settings) == "/older/parts"


def test_a_data_set_that_is_elsewhere_now_is_opened_there_under_its_name(written, tmp_path):
    (tmp_path / "parts").rename(tmp_path / "mounted elsewhere")
    with pytest.raises(DatasetNotFoundError) as caught:
        read(written)
    assert caught.value.hint == "where is the data set 'parts' now? --dataset PATH, beside --resume"
    now = str(tmp_path / "mounted elsewhere")
    found = PlanFile.read(written.plan.folder / "plan.json", written.plan.settings, dataset=now)
    assert (found.plan.dataset.name, found.plan.dataset.root) == ("parts", tmp_path / "mounted elsewhere")
    assert Preparation(found.plan).digests == Preparation(dataclasses.replace(found.plan)).digests
    assert found.differences(dataclasses.replace(written.plan, dataset=found.plan.dataset), DATA) == []
    again = PlanFile.read(written.plan.folder / "plan.json", written.plan.settings, dataset=found.plan.dataset)
    assert again.plan == found.plan
