"""Where trials may run after nodes have failed them."""

import pickle

from ray.tune import PlacementGroupFactory

from kdzoo.search.workers.places import NODE_LABEL, Places

ASKED = PlacementGroupFactory([{"CPU": 1.0}])


def node(name, *, alive=True, cpus=2.0):
    return {"NodeID": name, "Alive": alive, "Resources": {"CPU": cpus}, "NodeManagerHostname": f"host-{name}"}


class Cluster:
    def __init__(self, *nodes):
        self.nodes, self.notes = list(nodes), []
        self.places = Places(self.notes.append, living=lambda: self.nodes)

    def avoided(self, trial):
        """The nodes that a trial keeps away from."""
        made = self.places.resources(trial, ASKED)
        selector = made._kwargs
        assert made.bundles == ASKED.bundles
        label = (selector.get("bundle_label_selector") or [{}])[0].get(NODE_LABEL, "!in()")
        return set(filter(None, label.removeprefix("!in(").removesuffix(")").split(",")))


def test_without_failures_a_trial_asks_for_what_every_trial_does():
    assert Cluster(node("a"), node("b")).places.resources("t", ASKED) is ASKED


def test_a_trial_does_not_go_back_to_the_node_that_failed_it_and_others_may():
    cluster = Cluster(node("a"), node("b"))
    cluster.places.failed("t", "a", "its worker died")
    assert (cluster.avoided("t"), cluster.avoided("u")) == ({"a"}, set())
    assert cluster.notes == []


def test_after_two_failures_in_a_row_nobody_goes_there_and_a_person_is_told_once():
    cluster = Cluster(node("a"), node("b"))
    for trial in ("t", "u", "v"):
        cluster.places.failed(trial, "a", "no libgomp")
    assert cluster.avoided("w") == {"a"}
    assert cluster.notes == ["trials keep away from node host-a (a): no libgomp"]


def test_what_is_closed_to_all_trials():
    cluster = Cluster(node("a"), node("b"), node("small", cpus=0.5))
    assert cluster.places.closed({"CPU": 1.0}) == set()
    cluster.places.failed("t", "a", "its worker died")
    assert cluster.places.closed({"CPU": 1.0}) == set(), "to one of them only"
    cluster.places.keep_away("a", "no data set")
    cluster.places.keep_away("small", "no data set")
    assert cluster.places.closed({"CPU": 1.0, "GPU": 0.0}) == {"a"}
    for trial in ("t", "u"):
        cluster.places.failed(trial, "b", "its worker died")
    assert cluster.places.closed({"CPU": 1.0}) == set(), "any may be tried where all are"


def test_a_node_that_lacks_something_is_kept_away_from_whatever_its_first_epochs_look_like():
    cluster = Cluster(node("a"), node("b"))
    cluster.places.keep_away("a", "it does not see the driver's KDZOO_HOME")
    assert cluster.notes == ["trials keep away from node host-a (a): it does not see the driver's KDZOO_HOME"]
    cluster.places.worked("a")
    assert cluster.avoided("t") == {"a"} == cluster.places.kept_from_tasks({"CPU": 1.0})
    assert cluster.places.told() == "tries failed on node host-a (a): it does not see the driver's KDZOO_HOME"
    cluster.nodes.pop()
    assert cluster.avoided("t") == set(), "there is no other one"
    cluster.places.keep_away("gone", "no data set")
    assert len(cluster.notes) == 1


def test_an_epoch_that_ends_well_clears_a_node():
    cluster = Cluster(node("a"), node("b"))
    cluster.places.failed("t", "a", "")
    cluster.places.worked("a")
    cluster.places.failed("u", "a", "")
    assert cluster.avoided("w") == set()


def test_where_all_nodes_have_failed_any_may_be_tried_again():
    cluster = Cluster(node("a"), node("b"), node("small", cpus=0.0), node("dead", alive=False))
    for name in ("a", "b"):
        cluster.places.failed("t", name, "")
    assert cluster.places.resources("t", ASKED) is ASKED


def test_a_trials_own_failures_count_more_than_other_trials():
    cluster = Cluster(node("a"), node("b"))
    for trial in ("u", "v"):
        cluster.places.failed(trial, "a", "")
    cluster.places.failed("t", "b", "")
    assert cluster.avoided("t") == {"b"}


def test_a_node_that_is_gone_need_not_be_avoided():
    cluster = Cluster(node("a"), node("b"))
    cluster.places.failed("t", "gone", "the node died")
    cluster.places.failed("t", None, "nobody knows where")
    assert cluster.places.resources("t", ASKED) is ASKED


def test_a_trial_that_is_over_is_forgotten():
    cluster = Cluster(node("a"), node("b"))
    cluster.places.failed("t", "a", "")
    cluster.places.over("t")
    assert cluster.avoided("t") == set()


def test_work_without_tries_goes_where_nothing_has_failed():
    cluster = Cluster(node("a"), node("b"))
    assert cluster.places.kept_from_tasks({"CPU": 1.0, "GPU": 0.0}) == set()
    cluster.places.failed("t", "a", "")
    assert cluster.places.kept_from_tasks({"CPU": 1.0, "GPU": 0.0}) == {"a"}
    cluster.places.failed("t", "b", "")
    assert cluster.places.kept_from_tasks({"CPU": 1.0, "GPU": 0.0}) == set(), "somewhere it must run"


def test_what_ray_writes_down_holds_nothing_of_the_driver():
    places = Places(lambda text: None, living=list)
    assert vars(pickle.loads(pickle.dumps(places))) == {}
