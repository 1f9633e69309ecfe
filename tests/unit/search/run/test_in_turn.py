"""Sweeps of several methods in turn: when the group begins, and what ends it."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from kdzoo.errors import SweepError
from kdzoo.search.record.group import SweepGroup
from kdzoo.search.run import in_turn
from kdzoo.settings import Settings


def test_asked_to_end_while_the_teacher_is_fetched_none_begins(tmp_path, monkeypatch):
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path)})
    group = SweepGroup(path=settings.sweeps / "night", members=("night-rd", "night-aand"), created=5.0)
    group.write()
    (group.path / "stop").touch()  # of the time before, which no longer counts

    def fetched(name, settings, **more):
        assert not group.is_asked_to_stop
        with pytest.raises(SweepError, match="none of them begins any more"):
            group.ask_to_stop()
        return SimpleNamespace(weights=lambda: b"")

    def drive(plan):
        raise AssertionError(f"{plan} began")

    monkeypatch.setattr(in_turn, "obtain_teacher", fetched)
    monkeypatch.setattr(in_turn, "cluster", lambda *told, **more: nullcontext())
    plans = [SimpleNamespace(settings=settings, options=SimpleNamespace(teacher="any"))] * 2
    assert in_turn.run_in_turn(group, plans, drive, zoo=None, note=print) == []
