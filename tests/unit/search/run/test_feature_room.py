"""What a sweep says of the room that frozen features take, beside what trials take of it."""

import dataclasses

import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan
from helpers.trials import CPU, TINY_VIT

from kdzoo.data.cache.store import stored_entries
from kdzoo.search.run.disk import gigabytes
from kdzoo.search.run.feature_room import told_feature_room
from kdzoo.search.space.space import SpaceFile
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.spec import TrialSpec
from kdzoo.training.trainer import Trainer

HEADERS = 2 * 4096


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("random-test_resnet")


def plan_of(folder, method, **changes):
    make_dataset(folder / "parts", ("bottle",))
    plan = dataclasses.replace(small_plan(folder, name="room", trials=1), gpus_per_trial=0.0)
    space = SpaceFile(method).space("parts", "bottle", changes={"batch_size": 4, **changes})
    return dataclasses.replace(plan, method=method, spaces={"bottle": space})


@pytest.mark.parametrize(
    ("method", "epochs", "words"), [("rd", "epochs", "share"), ("aand", "distil_epochs", "a running trial")]
)
@pytest.mark.parametrize(("protocol", "augment"), [("holdout", ""), ("synthetic", ""), ("holdout", "rotate")])
def test_it_is_what_a_trial_takes(tmp_path, teacher, method, epochs, words, protocol, augment):
    once = {"amplify_epochs": 1} if method == "aand" else {}
    plan = plan_of(tmp_path, method, width=0.25, **{epochs: 2}, **once)
    plan = dataclasses.replace(plan, options=plan.options.replace(protocol=protocol, augment=augment))
    space, options = plan.spaces["bottle"], plan.options_of("bottle")
    spec = TrialSpec(
        method=method, config=space.config(space.assignment({})), dataset="parts", category="bottle", options=options
    )
    cache = plan.settings.cache
    trainer = Trainer(spec, TrialData(plan.dataset, "bottle", options, cache=cache), teacher, CPU)
    while trainer.epoch < trainer.total_epochs - 1:
        trainer.step()
    taken = sum(entry.size for entry in stored_entries(cache / "features"))
    told = told_feature_room(plan, teacher)
    assert words in told and str(cache) in told
    assert any(gigabytes(size) in told for size in range(taken - HEADERS, taken))


def test_levels_of_one_size_take_what_their_own_size_says(tmp_path):
    plan = plan_of(tmp_path, "rd")
    parts = TrialData(plan.dataset, "bottle", plan.options_of("bottle"), cache=plan.settings.cache).parts
    images = len(parts.train) + len(parts.select)
    told = told_feature_room(plan, load_teacher(TINY_VIT))
    assert f"take {gigabytes(images * 3 * 64 * (64 // 16) ** 2 * 4)} of" in told


def test_nothing_is_told_where_nothing_is_kept(tmp_path, teacher):
    plan = plan_of(tmp_path, "rd")
    assert told_feature_room(plan, teacher) is not None
    assert told_feature_room(dataclasses.replace(plan, gpus_per_trial=0.5), teacher) is None
    settings = dataclasses.replace(plan.settings, cache_limit=0)
    assert told_feature_room(dataclasses.replace(plan, settings=settings), teacher) is None
