"""What a machine looks for before it gets a trial."""

from helpers.trials import toy

from kdzoo.search.workers import node_checks
from kdzoo.search.workers.node_checks import Fitness, look, sees


def test_a_file_that_is_late_is_seen_and_one_that_does_not_come_is_not(tmp_path, monkeypatch):
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            (tmp_path / "late").touch()

    monkeypatch.setattr(node_checks.time, "sleep", sleep)
    assert sees(tmp_path / "late")
    assert pauses == [0.0, 0.5, 1.0]
    assert not sees(tmp_path / "never")
    assert sum(pauses[3:]) == 3.5


def test_what_a_machine_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(node_checks, "_SEEN_AFTER", (0.0,))
    dataset, marker = toy(tmp_path), tmp_path / "driver.json"
    assert look(marker, dataset) == Fitness(sees_home=False, has_data=True)
    marker.touch()
    (tmp_path / "toy").rename(tmp_path / "away")
    assert look(marker, dataset) == Fitness(sees_home=True, has_data=False)
    assert look(marker, None) == Fitness(sees_home=True, has_data=True)
