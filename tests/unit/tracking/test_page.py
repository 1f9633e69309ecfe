import json
from urllib.parse import parse_qs

import pytest

from kdzoo.errors import TrackingError, UnknownNameError
from kdzoo.tracking.page import leaderboard_path
from kdzoo.tracking.store import open_client
from kdzoo.tracking.views import RESULTS, view_tags


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A database with two experiments of one data set, one of another, and one that is not kdzoo's."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('pages') / 'mlflow.db'}"
    client = open_client(uri)
    for name in ("kdzoo/rd/demo", "kdzoo/aand/demo", "kdzoo/rd/visa", "elsewhere"):
        client.create_experiment(name)
    return uri


def identity(uri, name):
    return open_client(uri).get_experiment_by_name(name).experiment_id


def test_one_experiment_opens_on_its_saved_view(uri):
    expected = f"/#/experiments/{identity(uri, 'kdzoo/rd/visa')}/runs?viewStateShareKey={RESULTS}"
    assert leaderboard_path(uri, dataset="visa") == expected


def test_another_metric_sorts_by_it(uri):
    path = leaderboard_path(uri, dataset="visa", metric="aupro")
    asked = parse_qs(path.partition("?")[2])
    assert asked["orderByKey"] == ["metrics.`test_aupro`"] and asked["orderByAsc"] == ["false"]
    assert "'category'" in asked["searchFilter"][0]


def test_methods_are_compared_over_experiments(uri):
    asked = parse_qs(leaderboard_path(uri, dataset="demo").partition("?")[2])
    both = {identity(uri, "kdzoo/rd/demo"), identity(uri, "kdzoo/aand/demo")}
    assert set(json.loads(asked["experiments"][0])) == both


def test_what_there_is_not_is_said(uri, tmp_path):
    with pytest.raises(TrackingError, match="data set 'mvtec'"):
        leaderboard_path(uri, dataset="mvtec")
    with pytest.raises(UnknownNameError, match="aupr"):
        leaderboard_path(uri, metric="aupr")
    with pytest.raises(TrackingError, match="any sweep"):
        leaderboard_path(f"sqlite:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()


def test_views_fit_a_tag_and_name_their_columns():
    tags = view_tags(1_700_000_000_000)
    assert all(len(value) < 5000 for value in tags.values())
    view = json.loads(tags[f"mlflow.sharedViewState.{RESULTS}"])
    assert view["name"] == "Results" and isinstance(view["createdAt"], int)
    state = json.loads(view["state"])
    assert state["orderByKey"] in state["selectedColumns"] and "tags.`kdzoo.champion`" in state["selectedColumns"]
