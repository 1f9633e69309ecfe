"""One suite that every registered method passes, whatever its stages are.

Registered are kdzoo's own and those that installed packages announce. To check one of them:
``pytest tests/contracts/test_methods.py -k NAME``.
"""

import dataclasses

import numpy as np
import pytest
import torch
from helpers.methods import all_methods, shown_noise, stepping
from helpers.trials import (
    SIZE,
    TEACHER,
    TINY_VIT,
    in_new_process,
    small_config,
    small_trial,
    toy,
)

from kdzoo.data.synthesis.registry import build_synthesizer, kind_of
from kdzoo.detector import Detector
from kdzoo.errors import NonFiniteLossError
from kdzoo.methods.base import Batch, OnePass, Shown
from kdzoo.methods.registry import build_method, find_method
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.gradients import BatchGradients
from kdzoo.training.outcome import conclude

pytestmark = pytest.mark.parametrize("name", all_methods())

STAGE_EPOCHS = 2
# Both of its stages see planted anomalies otherwise.
BY_STEPS = {"epoch_steps": 3, "schedule": "cosine", "warmup": 0.3, "weight_decay": 0.01}
WITHOUT_PUSH = {"adps": {"push_weight": 0.0}}
# With room for all patches of the few images here nothing would be drawn.
DRAWN = {"nearest": {"rows": 10}}
OVERFIT_STEPS = 40


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=[TEACHER, TINY_VIT], ids=["pyramid", "transformer"])
def teacher(request):
    return load_teacher(request.param)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    toy(folder)
    return folder


@pytest.fixture
def trial(root, teacher, name):
    def make(**changes):
        return small_trial(root, name, teacher=teacher, **changes)

    return make


@pytest.fixture
def method(name, teacher):
    torch.manual_seed(0)
    return shown_noise(build_method(name, small_config(name), teacher).eval())


def snapshot(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def changed(before, module):
    return {key for key, value in module.state_dict().items() if not torch.equal(before[key], value)}


def keys_of(module, method):
    """A module's keys in the state dict of the whole method: those that hold the same memory."""
    places = {tensor.data_ptr() for tensor in module.state_dict().values()}
    return {key for key, tensor in method.state_dict().items() if tensor.data_ptr() in places}


def batch_for(stage, method, size=64, count=3):
    images = torch.rand(count, 3, size, size)
    inside = torch.ones(count, 1, size, size, dtype=torch.bool)
    if stage.synthesis is None:
        made, masks = images, torch.zeros(count, 1, size, size)
    else:
        planted = build_synthesizer(stage.synthesis)(images, inside, torch.Generator().manual_seed(1))
        made, masks = planted.images, planted.masks
    normalise = method.teacher.normalise
    return Batch(images=normalise(images), augmented=normalise(made), masks=masks, foreground=inside)


@pytest.mark.parametrize("size", [(64, 64), (96, 96), (128, 64)])
def test_maps_have_the_size_of_the_images(method, size):
    with torch.no_grad():
        maps = method.anomaly_map(torch.randn(2, 3, *size))
        scores = method.image_score(maps)
    assert maps.shape == (2, *size)
    assert scores.shape == (2,)
    assert torch.isfinite(maps).all()
    assert maps.dtype == scores.dtype == torch.float32


def test_an_image_scores_the_same_twice_and_in_any_company(method):
    images = torch.randn(3, 3, SIZE, SIZE)
    with torch.no_grad():
        together, again = method.anomaly_map(images), method.anomaly_map(images)
        alone = method.anomaly_map(images[1:2])
    assert torch.equal(together, again)
    torch.testing.assert_close(alone[0], together[1], rtol=1e-4, atol=1e-5)


def test_losses_are_finite_and_reach_every_module_of_the_stage(method):
    for stage in stepping(method):
        method.requires_grad_(False)
        for module in stage.modules:
            module.train().requires_grad_(True)
        losses = stage.loss(batch_for(stage, method))
        losses["loss"].backward()
        assert all(torch.isfinite(value) and value.ndim == 0 for value in losses.values())
        for module in stage.modules:
            gradients = [parameter.grad for parameter in module.parameters()]
            assert all(each is not None and torch.isfinite(each).all() for each in gradients)
            assert any(each.any() for each in gradients)
        method.zero_grad(set_to_none=True)


def test_stages_are_named_apart_and_the_last_detects(method):
    stages = list(method.stages())
    assert len({stage.name for stage in stages}) == len(stages)
    assert stages[-1].detects
    assert sum(stage.epochs for stage in stages) == method.config.total_epochs()
    assert all(set(stage.untouched_by) <= set(method.config.__dataclass_fields__) for stage in stages)


def test_what_a_pass_keeps_is_as_long_as_it_may_be_and_no_gradient_leads_to_it(method):
    state, lengths = method.learned_state(), method.lengths()
    assert set(lengths) <= set(state)
    assert all(1 <= len(state[name]) <= longest for name, longest in lengths.items())
    for stage in method.stages():
        if isinstance(stage, OnePass):
            assert any(list(module.buffers()) for module in stage.modules)
            assert not any(list(module.parameters()) for module in stage.modules)


def test_a_new_method_has_nothing_yet_where_training_decides_how_much(name, teacher):
    method = build_method(name, small_config(name), teacher)
    assert [len(method.learned_state()[key]) for key in method.lengths()] == [0] * len(method.lengths())


def test_learned_state_is_all_but_the_teacher(method):
    everything = {key for key in method.state_dict() if not key.startswith("teacher.")}
    assert set(method.learned_state()) == everything
    assert everything


def test_only_the_stages_modules_change(trial):
    trainer = trial()
    for stage in trainer.stages:
        may_change = [keys_of(module, trainer.method) for module in stage.modules]
        for _ in range(stage.epochs):
            before = snapshot(trainer.method)
            trainer.step()
            moved = changed(before, trainer.method)
            assert moved <= set().union(*may_change)
            assert all(moved & keys for keys in may_change)
    assert trainer.finished


def test_the_teacher_is_the_same_to_the_bit_after_training(trial, teacher):
    before = teacher.weights()
    trainer = trial()
    trainer.run()
    assert trainer.method.teacher.weights() == before == load_teacher(str(teacher.name)).weights()
    assert not any(module.training for module in trainer.method.teacher.modules())
    assert not any(parameter.requires_grad for parameter in trainer.method.teacher.parameters())


@pytest.mark.parametrize("pace", [{}, BY_STEPS], ids=["published", "by steps"])
def test_going_on_from_any_epoch_equals_going_through(trial, tmp_path, name, pace):
    if not set(pace) <= set(find_method(name).config.__dataclass_fields__):
        pytest.skip("takes no gradient steps")
    through = trial(epochs=STAGE_EPOCHS, config=pace)
    results, files = [], []
    while not through.finished:
        files.append(tmp_path / f"{through.epoch}.pt")
        save_state(files[-1], through.state())
        results.append(through.step())
    expected = through.method.learned_state()
    for done, file in enumerate(files):
        resumed = trial(epochs=STAGE_EPOCHS, config=pace)
        resumed.load_state(load_state(file))
        assert resumed.epoch == done
        for result in results[done:]:
            found = resumed.step()
            assert (found.losses, found.report, found.stage) == (result.losses, result.report, result.stage)
        assert all(torch.equal(expected[key], value) for key, value in resumed.method.learned_state().items())
        assert resumed.best.objective == through.best.objective
        assert resumed.best.epoch == through.best.epoch
        assert all(torch.equal(through.best.weights[key], value) for key, value in resumed.best.weights.items())


def test_kept_features_change_nothing(trial, monkeypatch, name):
    """Losses, measures, maps and weights of a trial are the same to the bit with features kept and without."""

    def told(limit, *, broken_off=0):
        monkeypatch.setenv("KDZOO_CACHE_LIMIT", limit)
        kept, results = set(), []

        def began():
            trainer = trial(epochs=STAGE_EPOCHS + 1, config=WITHOUT_PUSH.get(name))
            let_go = trainer._features.close

            def close():
                look(trainer)  # a trial of one epoch has let go of all by the end of it
                let_go()

            monkeypatch.setattr(trainer._features, "close", close)
            return trainer

        def look(trainer):
            kept.update(part for part, source in trainer._features._open.items() if source.kept)

        trainer = began()
        while not trainer.finished:
            if trainer.epoch == broken_off > 0:
                monkeypatch.setenv("KDZOO_CACHE_LIMIT", "0")
                state, trainer = trainer.state(), began()
                trainer.load_state(state)
            results.append(trainer.step())
            look(trainer)
        scored = trainer.selection_scores()
        return trainer, [(each.losses, each.report) for each in results], scored, kept

    expected, *measured, nothing = told("0")
    assert nothing == set()
    for going_on in (0, expected.total_epochs - 1):
        found, *same, kept = told("1GB", broken_off=going_on)
        assert same[0] == measured[0]
        assert np.array_equal(same[1].maps, measured[1].maps) and np.array_equal(same[1].scores, measured[1].scores)
        for one, other in ((found.method.learned_state(), expected.method.learned_state()),):
            assert all(torch.equal(one[key], value) for key, value in other.items())
        assert all(torch.equal(found.best.weights[key], value) for key, value in expected.best.weights.items())
        if expected.method.frozen() is not None:
            assert kept == {"train", "selection"}


def test_what_is_frozen_does_not_train_where_it_is_asked_for(method):
    for stage in method.stages():
        training = {parameter for module in stage.modules for parameter in module.parameters()}
        for frozen in (stage.frozen, method.frozen() if stage.detects else None):
            if frozen is not None:
                assert not training & {each for module in frozen.modules for each in module.parameters()}
                assert method.teacher in frozen.modules


def test_a_configuration_knows_what_is_planted(method):
    planted = {kind_of(stage.synthesis).name for stage in method.stages() if stage.synthesis is not None}
    told = method.config.planted()
    assert told is None or planted == ({told} if told else set())


def test_a_stage_that_examines_itself_changes_nothing(method):
    for stage in stepping(method, some=False):
        if stage.examine is None:
            continue
        before, drawn = snapshot(method), torch.get_rng_state()
        batches = [batch_for(stage, method) for _ in range(2)]
        torch.set_rng_state(drawn)
        with torch.no_grad():
            found = stage.examine(iter(batches))
            again = stage.examine(iter(batches))
        assert found == again
        assert found.metrics or found.warnings  # so small a transformer has too few positions for some anomalies
        assert all(np.isfinite(value) for value in found.metrics.values())
        assert not changed(before, method)
        assert torch.equal(torch.get_rng_state(), drawn)


def test_a_loss_and_a_map_are_the_same_with_features_given(method):
    images = torch.randn(4, 3, SIZE, SIZE)
    frozen = method.frozen()
    with torch.no_grad():
        if frozen is not None:
            assert torch.equal(method.anomaly_map(images, frozen.compute(images)), method.anomaly_map(images))
        for stage in stepping(method, some=False):
            if stage.frozen is not None:
                batch = batch_for(stage, method, count=4)
                given = dataclasses.replace(batch, features=stage.frozen.compute(batch.images))
                losses = []
                for each in (batch, given):
                    torch.manual_seed(0)
                    losses.append(stage.loss(each))
                assert losses[0] == losses[1]


def test_a_pass_keeps_the_same_with_features_given(method):
    images = torch.randn(4, 3, SIZE, SIZE)
    looks = [stage for stage in method.stages() if isinstance(stage, OnePass)]
    if not looks:
        pytest.skip("has no stage of one pass")
    for stage in looks:
        kept = []
        for features in (None, None if stage.frozen is None else stage.frozen.compute(images)):
            torch.manual_seed(0)
            with torch.no_grad():
                told = stage.take(iter([Shown(images=images, features=features)]), len(images))
            assert told and all(np.isfinite(value) for value in told.values())
            kept.append((told, snapshot(method)))
        assert kept[0][0] == kept[1][0]
        assert all(torch.equal(kept[0][1][key], value) for key, value in kept[1][1].items())


def test_a_finished_trial_comes_back_with_its_best_weights(trial, tmp_path):
    trainer = trial()
    trainer.run()
    save_state(tmp_path / "state.pt", trainer.state())
    again = trial()
    again.load_state(load_state(tmp_path / "state.pt"))
    assert again.finished
    first, second = conclude(trainer), conclude(again)
    assert first.metrics == second.metrics
    assert first.document["calibration"] == second.document["calibration"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(trial, name):
    one, two, other = (trial(seed=seed, config=DRAWN.get(name)) for seed in (3, 3, 4))
    losses = [trainer.step().losses for trainer in (one, two, other)]
    assert losses[0] == losses[1] != losses[2]


def test_it_overfits_four_images(method):
    """Each stage in turn, on the same four images with the same anomalies at every step."""
    for stage in stepping(method):
        method.eval().requires_grad_(False)
        for module in stage.modules:
            module.train().requires_grad_(True)
        batch = batch_for(stage, method, count=4)
        parameters = [parameter for module in stage.modules for parameter in module.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=stage.optimizer.learning_rate, betas=stage.optimizer.betas)
        losses = []
        for _ in range(OVERFIT_STEPS):
            loss = stage.loss(batch)["loss"]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert sum(losses[-3:]) < 0.6 * sum(losses[:3]), f"stage '{stage.name}' did not learn"


# What a loss draws at random is drawn anew for each part of a batch.
WITHOUT_DICE = {"mrkd": {"mask_ratio_1": 0.0, "mask_ratio_2": 0.0, "mask_ratio_3": 0.0}}
# Stages whose loss is a mean over images, or over the same number of positions in each.
MEANS = {("rd", "distil"), ("aand", "distil"), ("mrkd", "restore"), ("adps", "segment"), ("stfpm", "match")}


def gradients(method, stage, batch, *, parts):
    method.zero_grad(set_to_none=True)
    compute = BatchGradients()
    compute.parts = parts
    torch.manual_seed(0)
    losses = compute(stage, batch)
    return losses, [each.grad.clone() for module in stage.modules for each in module.parameters()]


def twice(batch):
    def doubled(images):
        return torch.cat([images, images])

    images = doubled(batch.images)
    return Batch(
        images=images,
        augmented=images if batch.augmented is batch.images else doubled(batch.augmented),
        masks=doubled(batch.masks),
        foreground=doubled(batch.foreground),
    )


def test_a_batch_in_parts_gives_the_gradient_of_the_whole(name, teacher):
    """Of equal halves for every loss, batch norm included; of unequal ones for means over the images."""
    torch.manual_seed(0)
    method = build_method(name, small_config(name, **WITHOUT_DICE.get(name, {})), teacher).eval()
    for stage in stepping(method):
        method.requires_grad_(False)
        for module in stage.modules:
            module.train().requires_grad_(True)
        cases = [twice(batch_for(stage, method))]
        if (name, stage.name) in MEANS:
            cases.append(batch_for(stage, method, count=5))
        for batch in cases:
            if len(batch.images) % 2:
                # In training it would normalise each part by the part's own statistics.
                method.eval()
            (whole, expected), (split, found) = (gradients(method, stage, batch, parts=parts) for parts in (1, 2))
            assert float(split["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-4)
            least = 1e-3 * max(float(each.norm()) for each in expected)
            for one, other in zip(expected, found, strict=True):
                assert float((other - one).norm()) <= 1e-3 * float(one.norm()) + 1e-3 * least


def test_a_nan_loss_stops_and_names_the_configuration(trial, name):
    for asked in stepping(trial().method):
        trainer = trial()
        index = [stage.name for stage in trainer.stages].index(asked.name)
        trainer.epoch = sum(stage.epochs for stage in trainer.stages[:index])
        stage = trainer.stages[index]
        with torch.no_grad():
            for module in stage.modules:
                next(module.parameters()).fill_(float("nan"))
        with pytest.raises(NonFiniteLossError, match=f"stage '{stage.name}'.* of {name} on toy/bottle with ") as caught:
            trainer.step()
        assert str(trainer.spec.config.as_dict()) in caught.value.message
        assert caught.value.hint == "lower the learning rate"


def test_the_optimizer_follows_the_stages_rate(trial):
    trainer = trial(epochs=5, evaluations=1)
    for stage in stepping(trainer.method):
        rates = []
        for _ in range(stage.epochs):
            trainer.step()
            state = trainer.state()["optimizer"]
            if state is not None:
                rates.append([group["lr"] for group in state["param_groups"]])
        expected = [[stage.optimizer.rate(epoch, stage.epochs)] for epoch in range(stage.epochs)]
        assert rates == expected[: len(rates)]
        assert len(rates) >= 4


REOPEN = """
import json, sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from kdzoo.detector import Detector
images = list(np.load(sys.argv[2]))
seen = {}
for folder in Path(sys.argv[1]).iterdir():
    detector = Detector.open(folder)
    found = detector.predict(images)
    seen[folder.name] = {"scores": [each.score for each in found],
                         "peaks": [float(each.anomaly_map.max()) for each in found],
                         "thresholds": [detector.threshold, detector.pixel_threshold], "name": repr(detector)}
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def reopened(request, root, teacher, tmp_path_factory):
    """Of every method that is asked for: what its detector says here, and after save and open in a new process."""
    folder = tmp_path_factory.mktemp("reopened")
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    asked = {item.callspec.params["name"] for item in request.session.items if item.parent is request.node}
    here = {}
    for name in sorted(name for name in asked if not find_method(name).missing):
        trainer = small_trial(root, name, teacher=teacher)
        trainer.run()
        outcome = conclude(trainer)
        detector = Detector(outcome.method, outcome.document)
        detector.save(folder / "saved" / name)
        here[name] = detector, detector.predict(list(images))
    return here, in_new_process(REOPEN, folder / "saved", folder / "images.npy")


def test_it_predicts_the_same_in_a_new_process(reopened, name):
    (detector, here), there = reopened[0][name], reopened[1][name]
    assert there["scores"] == pytest.approx([each.score for each in here], abs=1e-6)
    assert there["peaks"] == pytest.approx([float(each.anomaly_map.max()) for each in here], abs=1e-6)
    assert there["thresholds"] == [detector.threshold, detector.pixel_threshold]
    assert there["name"] == repr(detector)
