"""The doctor on a cluster of three nodes: one machine, three Ray nodes."""

import pytest
import ray
from helpers.layouts import make_dataset
from ray.cluster_utils import Cluster

from kdzoo.doctor import cluster as examined
from kdzoo.doctor.child import run_check
from kdzoo.doctor.finding import Asked


@pytest.fixture(scope="module")
def three_nodes():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20})
    for gpus in (0, 2):
        cluster.add_node(num_cpus=1, num_gpus=gpus, object_store_memory=80 * 2**20)
    ray.shutdown()  # this process may be with another
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_every_node_is_asked(three_nodes, tmp_path, isolated):
    make_dataset(tmp_path / "parts", ("bottle",))
    found = run_check("ray", Asked(dataset=str(tmp_path / "parts"), ray_address=three_nodes.address))
    assert found[0].what == f"{three_nodes.address}: 3 nodes, 3 CPUs, 2 GPUs"
    rest = found[1:]
    assert len({finding.node for finding in rest}) == 3
    states = {check: [one.state for one in rest if one.check == check] for check in {one.check for one in rest}}
    # The node that was told of two GPUs has none that PyTorch can use; all else is one machine, and the same.
    assert sorted(states.pop("gpus")) == ["fail", "ok", "ok"]
    assert states.pop("disk") != []
    assert states == {check: ["ok"] * 3 for check in ("versions", "shared home", "data set")}
    assert list((isolated / "kdzoo").iterdir()) == []


def test_a_node_that_cannot_load_what_it_is_asked_says_so(three_nodes, monkeypatch):
    def look(*_):
        raise ModuleNotFoundError("No module named 'kdzoo'")

    monkeypatch.setattr(examined, "look", look)
    found = run_check("ray", Asked(ray_address=three_nodes.address))
    assert [(one.state, one.what) for one in found[1:]] == [
        ("fail", "ModuleNotFoundError: No module named 'kdzoo'")
    ] * 3


def test_a_node_that_does_not_answer_in_time(three_nodes, monkeypatch):
    monkeypatch.setattr(examined, "_NODE_SECONDS", 0.0)
    found = run_check("ray", Asked(ray_address=three_nodes.address))
    assert {(one.state, one.what) for one in found[1:]} == {("fail", "does not answer within 0 s")}
