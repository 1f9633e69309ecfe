"""What may go along with a job, and addresses at which no job server is."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from helpers.serving import serving

from kdzoo.errors import SweepError, UsageError
from kdzoo.jobs import ClusterJobs, _translated, check_arguments, split_variables
from kdzoo.settings import Settings, sendable


@contextmanager
def answering(status):
    """An HTTP server that answers everything with one status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address.removeprefix("http://")


def test_only_named_variables_go_along():
    environ = {
        "KDZOO_ZOO": "s3://zoo/kdzoo",
        "KDZOO_WHO": "ann",
        "KDZOO_HOME": "/home/ann",
        "KDZOO_SIGNING_KEY": "/home/ann/key",
        "KDZOO_SIGNING_PASSPHRASE": "hidden",
        "AWS_SECRET_ACCESS_KEY": "hidden",
        "RAY_AUTH_TOKEN": "hidden",
        "MLFLOW_TRACKING_PASSWORD": "hidden",
        "MLFLOW_TRACKING_URI": " ",
    }
    assert sendable(environ) == {"KDZOO_ZOO": "s3://zoo/kdzoo", "KDZOO_WHO": "ann"}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("MLFLOW_TRACKING_URI", "https://ann:hidden@mlflow", "credentials"),
        ("MLFLOW_TRACKING_URI", "https://token@mlflow", "credentials"),
        ("KDZOO_DATA_MIRROR", "https://ann:hidden@mirror/sets", "credentials"),
        ("KDZOO_DATA_MIRROR", "https://mirror/sets?sv=2&sig=hidden", "credentials"),
        ("MLFLOW_TRACKING_URI", "https://mlflow/?access_token=hidden", "credentials"),
        ("MLFLOW_TRACKING_URI", "sqlite:////home/ann/mlflow.db", "this machine"),
        ("KDZOO_ZOO", "/home/ann/zoo", "this machine"),
        ("KDZOO_ZOO", "s3://zoo/kdzoo", None),
        ("MLFLOW_TRACKING_URI", "https://mlflow:5000", None),
        ("KDZOO_WHO", "ann@desk", None),
    ],
)
def test_what_opens_something_or_means_this_machine_stays(name, value, why):
    sent, kept = split_variables({name: value})
    assert (sent == {name: value}) is (why is None)
    assert why is None or why in kept[name]


@pytest.mark.parametrize("secret", ["s3://ann:hidden@host/zoo", "--data-mirror=https://mirror/sets?sig=hidden"])
def test_a_command_that_holds_a_secret_is_refused_without_showing_it(secret):
    with pytest.raises(UsageError, match="everybody who sees the dashboard") as caught:
        check_arguments(["sweep", "aand", secret])
    assert "hidden" not in str(caught.value)
    check_arguments(["sweep", "aand", "--zoo", "s3://zoo/kdzoo", "--set", "margin=0.5"])


@pytest.mark.parametrize("form", ["http://{}", "{}"])
def test_a_server_that_is_no_job_server_is_named(form):
    with answering(404) as there, pytest.raises(SweepError, match="no Ray job server") as caught:
        ClusterJobs(form.format(there))
    assert "kdzoo[cluster]" in caught.value.hint


def test_where_nothing_listens_that_is_said_at_once():
    with answering(200) as there:
        pass
    with pytest.raises(SweepError, match=f"no Ray job server answers at 'http://{there}'"):
        ClusterJobs(f"http://{there}")
    with pytest.raises(SweepError, match=f"no Ray cluster answers at '{there}'"):
        ClusterJobs(there)


@pytest.mark.parametrize("address", ["ray://head:10001", "head"])
def test_other_addresses_are_refused(address):
    with pytest.raises(UsageError, match=f"'{address}' is no"):
        ClusterJobs(address)


def test_the_address_comes_from_the_environment(tmp_path):
    environ = {"KDZOO_HOME": str(tmp_path), "RAY_API_SERVER_ADDRESS": "http://head:8265"}
    assert Settings.from_environment(environ).ray_jobs == "http://head:8265"


def test_a_lost_connection_is_an_error_of_ours_and_a_mistake_is_not():
    aiohttp = pytest.importorskip("aiohttp")
    with (
        pytest.raises(SweepError, match="Ray at 'http://head:8265': Server disconnected"),
        _translated("http://head:8265"),
    ):
        raise aiohttp.ServerDisconnectedError
    with pytest.raises(AttributeError), _translated("http://head:8265"):
        raise AttributeError
