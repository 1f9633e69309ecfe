"""An endpoint that others can listen to is warned of once."""

import socket

import pytest

from zoo_registry.store.s3.bucket import Bucket
from zoo_registry.store.s3.client import is_open, make_client


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [
        ("http://minio:9000", True),
        ("http://10.0.0.5:9000", True),
        ("http://[2001:db8::1]:9000", True),
        ("http://localhost.example.org", True),
        ("https://minio:9000", False),
        ("https://s3.eu-central-1.amazonaws.com", False),
        ("http://127.0.0.1:9000", False),
        ("http://127.1.2.3", False),
        ("http://[::1]:9000", False),
        ("http://localhost:9000", False),
        ("http://s3.localhost:9000", False),
        (f"http://{socket.gethostname()}:9000", False),
    ],
)
def test_what_others_can_listen_to(endpoint, answer):
    assert is_open(endpoint) is answer


def test_it_is_said_once_and_without_a_password(monkeypatch, caplog):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:secret@storage.example.org:9000")
    for _ in range(3):
        make_client("s3://bucket")
    (record,) = caplog.records
    assert "http://storage.example.org:9000 is reached over plain http" in record.getMessage()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://storage.example.org:9000")
    make_client("s3://bucket")
    assert len(caplog.records) == 1


def test_a_bucket_of_aws_is_one_whatever_the_region_and_elsewhere_the_endpoint_counts(monkeypatch):
    for region in ("us-east-1", "eu-west-1"):
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        assert Bucket("models", "zoo").server == "https://s3.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://key:secret@minio.example.org:9000")
    assert Bucket("models", "zoo").server == "https://minio.example.org:9000"
