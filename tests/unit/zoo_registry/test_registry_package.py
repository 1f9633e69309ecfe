"""The package as a whole: light to import, errors that travel, addresses understood."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import zoo_registry
from zoo_registry import errors
from zoo_registry.store.folder import FolderStore
from zoo_registry.store.open import open_store
from zoo_registry.store.s3.store import S3Store

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RegistryError)]


def test_import_is_light():
    code = """
import sys
from pathlib import Path
import zoo_registry
zoo_registry.EntryName.parse("a/b/c")
zoo_registry.Registry.open("/nonexistent/zoo", cache=Path("/nonexistent/cache"))
print(sorted({"boto3", "botocore", "torch", "ray", "mlflow", "kdzoo", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(zoo_registry.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_every_public_name_is_there():
    for name in zoo_registry.__all__:
        assert getattr(zoo_registry, name).__class__
    assert {"Registry", "EntryName", "open_store", "RegistryError"} <= set(dir(zoo_registry))
    with pytest.raises(AttributeError, match="Registery"):
        zoo_registry.Registery  # noqa: B018


@pytest.mark.parametrize("kind", KINDS)
def test_errors_keep_message_and_hint_when_pickled(kind):
    again = pickle.loads(pickle.dumps(kind("it broke", hint="mend it")))
    assert type(again) is kind
    assert (str(again), again.message, again.hint) == ("it broke", "it broke", "mend it")


def test_errors_are_builtin_kinds_too():
    assert issubclass(errors.NameInvalidError, ValueError)
    assert issubclass(errors.ManifestInvalidError, ValueError)
    assert issubclass(errors.EntryNotFoundError, LookupError)
    assert issubclass(errors.StoreUnavailableError, OSError)


def test_addresses(tmp_path):
    assert (
        open_store(tmp_path).uri
        == open_store(str(tmp_path)).uri
        == open_store(f"file://{tmp_path}").uri
        == str(tmp_path)
    )
    assert isinstance(open_store("~/zoo"), FolderStore)
    assert open_store("~/zoo").uri == str(Path.home() / "zoo")
    assert open_store("file:///a%20b").uri == "/a b"
    made = open_store("s3://my-bucket/a/b/")
    assert isinstance(made, S3Store) and made.uri == "s3://my-bucket/a/b"
    assert open_store("s3://my-bucket").uri == "s3://my-bucket"


@pytest.mark.parametrize(
    "address",
    [
        *("", "http://host/zoo", "file://host/x", "gs://bucket", "s3://", "s3:///x", "s3://B_d/x"),
        *("s3://bucket/../x", "s3://bucket/a//b", "s3://bucket/x?y=1"),
    ],
)
def test_bad_addresses_are_refused(address):
    with pytest.raises(errors.NameInvalidError) as error:
        open_store(address)
    assert error.value.hint
