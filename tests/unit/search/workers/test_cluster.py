"""Ray that does not start, or does not let itself be joined."""

import pytest
import ray

from kdzoo.errors import SweepError
from kdzoo.search.workers.cluster import cluster


@pytest.mark.parametrize(
    ("address", "told", "hint"),
    [
        (None, "Ray did not start on this machine: the node was too slow", "try again later"),
        ("auto", "cannot reach Ray at 'auto': the node was too slow", "RAY_ADDRESS"),
    ],
)
def test_what_ray_says_when_it_does_not_start_is_passed_on(address, told, hint, monkeypatch, tmp_path):
    def too_slow(**_):
        # A bare Exception is what Ray itself raises when its processes are late.
        raise Exception("the node was too slow\nand more")

    monkeypatch.setattr(ray, "init", too_slow)
    with pytest.raises(SweepError) as caught, cluster(address, log=tmp_path / "ray.log"):
        pass
    assert caught.value.message == told
    assert hint in caught.value.hint
