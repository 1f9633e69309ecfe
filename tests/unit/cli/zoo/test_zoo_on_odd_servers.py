"""The zoo's commands on S3 servers that are not quite S3: refused before anything is written, or told as a note."""

import hashlib
import json

import pytest
from helpers.command import run
from helpers.odd_servers import BareEtags, ignores_conditions, lists_no_uploads

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.format.layout import blob_key
from zoo_registry.format.signing import SigningKey
from zoo_registry.store.proof import Proof
from zoo_registry.store.s3.store import S3Store
from zoo_registry.zoo.key_files import write_key_pair
from zoo_registry.zoo.registry import Registry

NAME = "aand/parts/screw"
LOOSE = hashlib.sha256(b"loose").hexdigest()


def document(value):
    return {
        "protocol": "holdout",
        "split": {"digest": "aa"},
        "objective": {"name": "image_auroc", "value": value},
        "dataset": {"fingerprint": "ff"},
        "input": {"size": 256},
    }


@pytest.fixture
def store(s3, monkeypatch, tmp_path):
    """Two releases, champion moved once, and a loose blob; the commands find it by `KDZOO_ZOO`."""
    client = s3.client()
    bucket = s3.new_bucket(client)
    for name, value in s3.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KDZOO_ZOO", f"s3://{bucket}/zoo")
    made = S3Store(bucket, "zoo", client=client, proof=Proof.given())
    registry = Registry(made, BlobCache(tmp_path / "first"))
    for value in (0.7, 0.9):
        registry.publish(NAME, document(value), {}, alias=None)
    registry.set_alias(NAME, "champion", 2)
    registry.set_alias(NAME, "champion", 1)
    made.put_if_absent(blob_key(LOOSE), b"loose")
    write_key_pair(SigningKey.generate(), tmp_path / "key")
    return made


COMMANDS = {
    "alias": ("alias", NAME, "staging", "2"),
    "alias --delete": ("alias", NAME, "champion", "--delete", "--force"),
    "promote": ("promote", NAME, "2"),
    "promote --force": ("promote", NAME, "2", "--force", "--alias", "staging"),
    "rollback": ("rollback", NAME),
    "sign": ("sign", NAME, "--key", "KEY"),
    "gc": ("gc", "--grace", "0"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_refused_where_conditions_are_ignored(s3, store, tmp_path, monkeypatch, capsys, name):
    before = {item.key: item.size for item in store.scan("")}
    monkeypatch.setattr(s3, "chaos", ignores_conditions)
    arguments = [str(tmp_path / "key") if word == "KEY" else word for word in COMMANDS[name]]
    ran = run(capsys, "zoo", *arguments)
    assert (ran.status, ran.out) == (1, "")
    said = " ".join(ran.err.split())
    assert (
        "no working conditional writes: 16 of 16 writers created the same object" in said and "AWS S3 or Ceph" in said
    )
    assert {item.key: item.size for item in store.scan("")} == before
    assert run(capsys, "zoo", "list").status == run(capsys, "zoo", "gc", "--dry-run").status == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_done_where_etags_have_no_quotes(s3, store, tmp_path, monkeypatch, capsys, name):
    monkeypatch.setattr(s3, "chaos", BareEtags())
    arguments = [str(tmp_path / "key") if word == "KEY" else word for word in COMMANDS[name]]
    ran = run(capsys, "zoo", *arguments)
    assert ran.status == 0, ran.err


def test_one_proof_for_many_commands(s3, store, capsys):
    writes = []
    for release in (2, 1, 2):
        del s3.requests[:]
        assert run(capsys, "zoo", "alias", NAME, "staging", release).status == 0
        writes.append(sum(method == "PUT" for method, _ in s3.requests))
    assert writes[0] > 100 and max(writes[1:]) <= 3


def test_uploads_that_cannot_be_listed_are_a_note(s3, store, monkeypatch, capsys):
    monkeypatch.setattr(s3, "chaos", lists_no_uploads)
    ran = run(capsys, "zoo", "fsck", "--deep")
    assert ran.status == 0 and "leftovers-unknown" in ran.out and "nothing is wrong" in ran.out
    ran = run(capsys, "zoo", "gc", "--grace", "0", "--dry-run")
    assert ran.status == 0 and "Note: unfinished uploads cannot be listed here and stay" in ran.err
    done = json.loads(run(capsys, "zoo", "gc", "--grace", "0", "--json").out)
    assert len(done["notes"]) == 1 and done["removed"] == [LOOSE]
