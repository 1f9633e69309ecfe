"""What learns nothing is measured beside a trial, on the same images."""

import pytest
from helpers.trials import small_trial

from kdzoo.errors import TrainingError
from kdzoo.training import baseline
from kdzoo.training.baseline import baseline_beside
from kdzoo.training.outcome import conclude


@pytest.fixture
def trainer(tmp_path):
    made = small_trial(tmp_path, "rd", epochs=1)
    made.run()
    return made


def test_it_is_what_a_trial_of_its_own_comes_to(trainer, tmp_path):
    before = {key: value.clone() for key, value in trainer.method.learned_state().items()}
    found = baseline_beside(trainer)
    alone = small_trial(tmp_path, "nearest", config={"batch_size": 16}, evaluations=1)
    alone.run()
    expected = conclude(alone).metrics
    assert found["method"] == "nearest" and found["seconds"] > 0
    assert found["metrics"] == pytest.approx(expected)
    assert any(name.startswith("test_") for name in found["metrics"])
    assert all(value.equal(before[key]) for key, value in trainer.method.learned_state().items()), (
        "the trial is as it was"
    )


def test_nothing_is_compared_with_itself(tmp_path):
    memory = small_trial(tmp_path, "nearest")
    memory.run()
    assert baseline_beside(memory) == {}


@pytest.mark.parametrize("error", [TrainingError("no normal patches"), RuntimeError("no normal patches")])
def test_a_baseline_that_fails_costs_no_trial(trainer, monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(baseline, "_measured", refuse)
    assert baseline_beside(trainer) == {"method": "nearest", "failure": "no normal patches"}
