"""The zoo on S3 against plain boto3, on one server in one run, as ratios; and the listing of a large zoo.

    python benchmarks/registry.py --megabytes 300           # publish and pull against upload_file and download_file
    python benchmarks/registry.py --entries 10000           # list a zoo of many entries: requests and seconds
    python benchmarks/registry.py --megabytes 300 --endpoint http://minio:9000 --bucket zoo

Without --endpoint a moto server is started on loopback. Publishing and pulling take the sha256 of every byte, probe
the store and look at what they wrote; upload_file and download_file do none of that. Both use eight threads.
"""

import argparse
import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.format import layout
from zoo_registry.format.alias import Move
from zoo_registry.format.manifest import Manifest
from zoo_registry.format.names import EntryName
from zoo_registry.store.s3.store import S3Store
from zoo_registry.zoo.overview import overview
from zoo_registry.zoo.registry import Registry

MEGABYTE = 1_000_000


@contextlib.contextmanager
def own_server():
    """A moto server in a process of its own; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], **quiet)
    try:
        until = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if time.monotonic() > until:
                raise TimeoutError("the server did not start")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def seconds(work, *given, **named) -> float:
    began = time.perf_counter()
    work(*given, **named)
    return time.perf_counter() - began


def transfers(client, bucket: str, megabytes: int, rounds: int) -> None:
    """Prints seconds of publish and pull and of boto3's own, the best of some rounds, taken in turns."""
    plain = TransferConfig(max_concurrency=8, multipart_threshold=16 * 2**20, multipart_chunksize=8 * 2**20)
    best: Counter[str] = Counter()

    def note(name: str, took: float) -> None:
        best[name] = min(best[name] or took, took)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for turn in range(rounds):
            source = root / "source"
            source.write_bytes(os.urandom(megabytes * MEGABYTE))
            key, out = f"plain/{turn}", root / "out"
            note("upload_file", seconds(client.upload_file, str(source), bucket, key, Config=plain))
            note("download_file", seconds(client.download_file, bucket, key, str(out), Config=plain))
            registry = Registry(S3Store(bucket, f"zoo-{turn}", client=client), BlobCache(root / f"cache-{turn}"))
            note("publish", seconds(registry.publish, "rd/demo/weave", {}, {"weights": source}))
            manifest = registry.resolve("rd/demo/weave")
            note("pull", seconds(registry.fetch, manifest, "weights"))
    print(f"{megabytes} MB, best of {rounds}")
    for ours, theirs in (("publish", "upload_file"), ("pull", "download_file")):
        ratio = best[ours] / best[theirs]
        print(f"{ours:10s}{best[ours]:8.2f} s   {theirs:14s}{best[theirs]:8.2f} s   ratio {ratio:.2f}")


def listing(client, bucket: str, entries: int) -> None:
    """Prints requests and seconds of a list of many entries, first and again."""
    store = S3Store(bucket, "large", client=client)
    manifest = Manifest(
        entry=EntryName.parse("rd/demo/c00000"),
        release=1,
        created="2031-05-06T07:08:09Z",
        write_id=uuid.uuid4().hex,
        document={"metrics": {"test_image_auroc": 0.99}},
        blobs={},
    )
    alias = Move(release=1, updated="2031-05-06T07:08:09Z", write_id=uuid.uuid4().hex)

    def put(number: int) -> None:
        name = EntryName("rd", "demo", f"c{number:05d}")
        store.put_if_absent(layout.manifest_key(name, 1), dataclasses.replace(manifest, entry=name).to_bytes())
        store.put_if_absent(layout.alias_key(name, "champion"), alias.to_bytes())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(entries)))
    asked: Counter[str] = Counter()
    client.meta.events.register(
        "before-send.s3.*", lambda request, **_: asked.update(["list" if "list-type" in request.url else "get"])
    )
    with tempfile.TemporaryDirectory() as folder:
        for which in ("first", "again"):
            asked.clear()
            registry = Registry(store, BlobCache(Path(folder)))
            began = time.perf_counter()
            found = sum(row.manifest is not None for row in overview(registry))
            took = time.perf_counter() - began
            print(f"list of {found} entries, {which}: {took:.1f} s, requests: {dict(asked)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--entries", type=int, default=0)
    parser.add_argument("--endpoint", help="an S3 server that runs already; its credentials as boto3 finds them")
    parser.add_argument("--bucket", help="an existing bucket; default a new one")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        settings = {"endpoint_url": options.endpoint}
        if options.endpoint is None:
            keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
            settings = {"endpoint_url": stack.enter_context(own_server()), **keys}
        client = boto3.client("s3", config=boto3.session.Config(max_pool_connections=20), **settings)
        bucket = options.bucket or f"bench-{uuid.uuid4().hex[:12]}"
        if options.bucket is None:
            client.create_bucket(Bucket=bucket)
        if options.entries:
            listing(client, bucket, options.entries)
        else:
            transfers(client, bucket, options.megabytes, options.rounds)


if __name__ == "__main__":
    main()
