"""Production and staging on two servers, under one address: neither is ever served what is kept of the other."""

import json

import pytest
from helpers.command import run
from helpers.s3_server import another_s3_server, s3_server

from kdzoo.settings import Settings
from kdzoo.zoo import open_registry

ENTRY, BUCKET = "rd/demo/weave", "models"
ADDRESS = f"s3://{BUCKET}/zoo"


@pytest.fixture
def servers(tmp_path, monkeypatch):
    """Two servers with a zoo each, at the same address; gives what makes one of them the present one."""
    with s3_server() as production, another_s3_server() as staging:
        both = {"production": production, "staging": staging}

        def use(name):
            for variable, value in both[name].variables().items():
                monkeypatch.setenv(variable, value)

        weights = tmp_path / "weights"
        for name, server in both.items():
            server.client().create_bucket(Bucket=BUCKET)
            use(name)
            weights.write_text(name)
            open_zoo().publish(ENTRY, {"note": name}, {"weights": weights})
        yield both, use


def open_zoo():
    return open_registry(Settings.from_environment(), ADDRESS)


def loaded():
    registry = open_zoo()
    manifest = registry.resolve(ENTRY, 1, trust_cache=True)
    return manifest.document["note"], registry.fetch(manifest, "weights").read_text()


def test_a_release_of_one_is_never_the_others(servers, monkeypatch):
    both, use = servers
    for name in ("staging", "production", "staging", "production"):
        use(name)
        assert loaded() == (name, name)
        assert open_zoo().resolve(ENTRY).document["note"] == name
    for name, server in both.items():
        use(name)
        began = len(server.requests)
        assert loaded() == (name, name) and server.requests[began:] == [], "what is kept is kept by zoo"
    monkeypatch.setenv("KDZOO_OFFLINE", "1")
    for name in both:
        use(name)
        assert loaded() == (name, name)
        assert open_zoo().resolve(ENTRY).document["note"] == name


def test_also_of_zoos_that_have_no_id_yet(servers):
    both, use = servers
    for server in both.values():
        server.client().delete_object(Bucket=BUCKET, Key="zoo/zoo.json")
    for path in (Settings.from_environment().cache / "zoo" / "seen").rglob("*.json"):
        path.unlink()
    for name in ("staging", "production", "staging", "production"):
        use(name)
        assert loaded() == (name, name)


def test_stagings_signed_release_under_productions_number_is_refused(servers, capsys, tmp_path, monkeypatch):
    both, use = servers
    monkeypatch.setenv("KDZOO_ZOO", ADDRESS)
    key = str(tmp_path / "release.key")
    run(capsys, "zoo", "keygen", key)
    for name in both:
        use(name)
        assert run(capsys, "zoo", "sign", ENTRY, "--key", key).status == 0
    use("production")
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", f"{key}.pub")
    ours = json.loads(run(capsys, "zoo", "verify", ENTRY, "--json").out)["zoo"]
    assert run(capsys, "zoo", "pull", ENTRY).status == 0
    source, target = both["staging"].client(), both["production"].client()
    theirs = f"zoo/entries/{ENTRY}/signatures/"
    for item in target.list_objects_v2(Bucket=BUCKET, Prefix=theirs)["Contents"]:
        target.delete_object(Bucket=BUCKET, Key=item["Key"])
    for item in source.list_objects_v2(Bucket=BUCKET, Prefix="zoo/entries/")["Contents"]:
        body = source.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        target.put_object(Bucket=BUCKET, Key=item["Key"], Body=body)
    for path in (Settings.from_environment().cache / "zoo" / "seen").rglob(f"entries/{ENTRY}/**/*.json"):
        path.unlink()
    refused = run(capsys, "zoo", "pull", ENTRY)
    assert refused.status == 1 and f"does not count here; this is zoo {ours}" in " ".join(refused.err.split())
