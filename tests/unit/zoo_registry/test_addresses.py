"""Passwords and keys in addresses are shown nowhere: not in errors, messages or logs."""

import logging
import pickle

import pytest

from kdzoo.cli.main import main
from kdzoo.cli.say import tell
from kdzoo.errors import KdzooError, StorageError
from zoo_registry.addresses import without_credentials
from zoo_registry.errors import NameInvalidError, RegistryError, StoreUnavailableError
from zoo_registry.store.open import open_store


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://user:pa@ss@host:5000/x", "http://host:5000/x"),
        ("postgresql+psycopg://me:secret@db/mlflow", "postgresql+psycopg://db/mlflow"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("https://h/x?X-Amz-Signature=abc&y=1", "https://h/x?X-Amz-Signature=***&y=1"),
        ("https://h/x?y=1&token=abc", "https://h/x?y=1&token=***"),
        ("failed: http://a:b@h and https://c:d@i", "failed: http://h and https://i"),
        ("nothing to hide", "nothing to hide"),
        ("s3://AKIAKEY:SECRET@bucket/zoo", "s3://bucket/zoo"),
        ("s3://AKIAKEY:ab/c+d/e=@bucket/zoo", "s3://bucket/zoo"),
        ("s3://AKIAKEY:12/c+d/e=@bucket/zoo", "s3://bucket/zoo"),
        ("http://host:12/runs/a@b", "http://host:12/runs/a@b"),
        ("https://h/x?client_secret=abc&y=1", "https://h/x?client_secret=***&y=1"),
        ("https://h/x?X-Goog-Signature=abc", "https://h/x?X-Goog-Signature=***"),
        ("https://h/x#access_token=abc&y=1", "https://h/x#access_token=***&y=1"),
        ('endpoint URL: "http://user:secret@h:9000/b?list-type=2"', 'endpoint URL: "http://h:9000/b?list-type=2"'),
        ("http://host:5000/runs/a@b", "http://host:5000/runs/a@b"),
        ("kim@example.org is no address with a password", "kim@example.org is no address with a password"),
    ],
)
def test_credentials_are_taken_out_of_addresses(text, clean):
    assert without_credentials(text) == clean


@pytest.mark.parametrize("kind", [RegistryError, StoreUnavailableError, KdzooError, StorageError])
def test_no_error_holds_them(kind):
    error = kind("cannot reach http://user:secret@h/x", hint="is s3://KEY:SECRET@bucket right?")
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert str(each) == each.message == "cannot reach http://h/x" and each.hint == "is s3://bucket right?"
        assert "secret" not in repr(each).lower()


@pytest.mark.parametrize("address", ["s3://AKIA:SECRET@bucket/zoo", "s3://AKIA:SEC/RET@bucket", "s3://kim@bucket"])
def test_a_zoo_is_not_opened_with_keys_in_its_address(address):
    with pytest.raises(NameInvalidError, match="holds a name or a key") as caught:
        open_store(address)
    assert "AKIA" not in str(caught.value) and "RET" not in str(caught.value) and "AWS_SECRET" in caught.value.hint


def test_no_command_shows_them(capsys, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:s3cr3t@127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    for zoo in ("s3://some-bucket/zoo", "s3://AKIA:S3CR3T@bucket"):
        with pytest.raises(SystemExit) as ended:
            main(["zoo", "list", "--zoo", zoo])
        said = "".join(capsys.readouterr())
        assert ended.value.code != 0 and "Error: " in said
        assert not any(word in said for word in ("s3cr3t", "S3CR3T", "AKIA", "hidden"))


def test_messages_and_logs_lose_them(capsys):
    tell("sent to http://user:secret@h/x")
    assert capsys.readouterr().err == "sent to http://h/x\n"
    with pytest.raises(SystemExit):
        main(["methods"])
    record = logging.LogRecord("other", logging.WARNING, "", 1, "%s", ("http://user:secret@h/x",), None)
    assert logging.lastResort is not None and logging.lastResort.format(record) == "http://h/x"
