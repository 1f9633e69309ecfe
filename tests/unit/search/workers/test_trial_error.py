"""On which node a try failed, and where Ray's own words go."""

import ray
from ray.exceptions import ActorDiedError, RayTaskError

from kdzoo.errors import WorkerError
from kdzoo.search.workers.cluster import _logged_to
from kdzoo.search.workers.trial_error import node_of


def test_a_worker_says_where_it_failed():
    error = WorkerError("on node 'gpu-3': no data set")
    error.node = "a1b2"
    assert node_of(error) == "a1b2"
    assert node_of(RayTaskError("step", "a traceback", error)) == "a1b2"


def test_without_a_place_there_is_none():
    assert node_of(None) is None
    assert node_of(ValueError("no")) is None
    assert node_of(WorkerError("outside of Ray")) is None
    assert node_of(ActorDiedError()) is None


def test_ray_prints_nothing_on_stdout(tmp_path, capsys):
    printed = ray._private.worker.print_to_stdstream
    with _logged_to(tmp_path / "ray.log"):
        ray._private.worker.print_to_stdstream({"lines": ["A worker died"], "pid": "raylet", "is_err": False})
    assert capsys.readouterr() == ("", "")
    assert "A worker died" in (tmp_path / "ray.log").read_text()
    assert ray._private.worker.print_to_stdstream is printed
