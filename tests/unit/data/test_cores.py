import os

import pytest

from kdzoo.data.cores import usable_cores


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("400000 100000", 4), ("150000 100000", 2), ("5000 100000", 1), ("9900000 100000", 8)]
    + [(text, 8) for text in ("", "1", "x y", "100000 0")],
)
def test_pinning_and_the_containers_share(tmp_path, monkeypatch, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert usable_cores(tmp_path / "cpu.max") == cores


def test_no_container_and_no_pinning(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cores(tmp_path / "none") == 3
