"""The driver's keys are out of its environment while Ray runs, and its clients go on."""

import os
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE

from kdzoo.search.workers.keys import DRIVERS_ALONE, S3_KEYS, hidden, s3_keys_kept
from zoo_registry import open_store
from zoo_registry.errors import StoreRefusedError

TOKENED = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}


@pytest.fixture
def keys(s3, monkeypatch):
    for name, value in (s3.variables() | TOKENED).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def here():
    return {name: os.environ[name] for name in S3_KEYS if name in os.environ}


def test_all_that_tune_would_copy_is_taken_out():
    assert {name for name in ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")} <= set(S3_KEYS) < set(DRIVERS_ALONE)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_they_are_put_back_however_it_ends(keys, error):
    session = boto3.DEFAULT_SESSION
    try:
        with s3_keys_kept():
            assert here() == {}
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    assert here() == TOKENED and boto3.DEFAULT_SESSION is session


def test_what_was_set_meanwhile_stays(keys):
    with hidden(S3_KEYS) as taken:
        assert taken == TOKENED
        os.environ["AWS_ACCESS_KEY_ID"] = "newer"
    assert os.environ["AWS_ACCESS_KEY_ID"] == "newer" and os.environ["AWS_SESSION_TOKEN"] == "t"


def test_clients_made_before_and_meanwhile_have_the_keys(keys, s3):
    bucket = s3.new_bucket(s3.client())
    store = open_store(f"s3://{bucket}/zoo")
    assert store.list("") == []
    with s3_keys_kept():
        assert store.put_if_absent("a", b"1") is True
        held = boto3.client("s3")._request_signer._credentials
        assert (held.access_key, held.secret_key, held.token) == ("k", "s", "t")
    assert store.get("a") == b"1"


def test_keys_that_run_out_are_not_looked_for_again(keys, s3, monkeypatch):
    """boto3 reads variables with a time anew when that draws near: a quarter of an hour before, at each request."""
    near = datetime.now(UTC) + timedelta(minutes=5)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", near.isoformat())
    store = open_store(f"s3://{s3.new_bucket(s3.client())}/zoo")
    assert store.list("") == []
    with s3_keys_kept():
        assert store.put_if_absent("a", b"1") is True


def test_keys_that_have_run_out_are_named(keys, monkeypatch):
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")
    with pytest.raises(StoreRefusedError, match="have expired"):
        open_store("s3://some-bucket").list("")
    with s3_keys_kept():
        assert here() == {} and boto3.DEFAULT_SESSION is None


def test_a_profile_goes_on_being_renewed(s3, monkeypatch, tmp_path):
    """Its process is asked again whenever its keys run out, also while the sweep runs."""
    said = '{"Version": 1, "AccessKeyId": "k", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "%s"}'
    script = tmp_path / "keys.sh"
    script.write_text(
        f"#!/bin/sh\necho asked >> {tmp_path}/asked\n"
        f"""printf '{said}' "$(date -u -d '+5 min' +%Y-%m-%dT%H:%M:%SZ)"\n"""
    )
    script.chmod(0o700)
    (tmp_path / "config").write_text(
        f"[profile line3]\nregion = us-east-1\nendpoint_url = {s3.url}\ncredential_process = {script}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "line3")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    store = open_store(f"s3://{s3.new_bucket(s3.client())}/zoo")
    assert store.list("") == []
    asked = len((tmp_path / "asked").read_text().split())
    with s3_keys_kept():
        assert store.put_if_absent("a", b"1") is True
        assert boto3.DEFAULT_SESSION is None
    assert len((tmp_path / "asked").read_text().split()) > asked


def test_half_a_pair_is_no_reason_to_stop(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    with s3_keys_kept():
        assert here() == {}
    assert here() == {"AWS_ACCESS_KEY_ID": "k"}
