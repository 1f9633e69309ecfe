"""A real Ceph on loopback, of which a test can kill parts: one monitor, manager, disk (a file) and S3 gateway.

Its packages are Debian's: ceph-mon, ceph-mgr, ceph-osd, radosgw and ceph-common.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.s3_server import CREDENTIALS, S3Server

PACKAGES = ("ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "ceph-common")
_PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool")
_UP_S = 120.0

# One copy on one disk, little memory, no keys among the parts, and nothing that warns or waits for more of them. A disk
# that comes back waits until all that its predecessor promised to readers has run out: for most of the grace. A gateway
# waits for one that was killed until its watch has run out.
_SETTINGS = """
[global]
fsid = {fsid}
run dir = {folder}
admin socket =
log file = {folder}/$name.log
pid file =
crash dir = {folder}
auth cluster required = none
auth service required = none
auth client required = none
mon host = v2:127.0.0.1:{port}
mon data = {folder}/mon
mon allow pool size one = true
mon data avail crit = 1
mon data avail warn = 1
auth allow insecure global id reclaim = false
mon pg warn min per osd = 0
mon cluster log file = {folder}/cluster.log
mgr data = {folder}/mgr
mgr initial modules =
mgr pool = false
ms bind ipv6 = false
ms mon client mode = crc
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd data = {folder}/osd
osd objectstore = bluestore
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd crush update on start = true
osd heartbeat grace = 2
osd heartbeat interval = 1
osd client watch timeout = 2
osd default notify timeout = 2
paxos propose interval = 0.1
ms max backoff = 0.5
osd memory target = 939524096
osd op num shards = 2
osd op num threads per shard = 1
bluestore block size = 4294967296
bluestore block create = true
bluestore cache size = 67108864
bluestore cache autotune = false
bluestore rocksdb options = compression=kNoCompression,max_write_buffer_number=2,write_buffer_size=8388608
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{gate} tcp_nodelay=1
rgw thread pool size = 64
rgw enable usage log = false
rgw enable ops log = false
rgw enable gc threads = false
rgw run sync thread = false
rgw enable quota threads = false
rgw num rados handles = 1
"""


def is_installed() -> bool:
    """Whether all of Ceph's programs are there."""
    return all(shutil.which(name) for name in _PROGRAMS)


class Ceph(S3Server):
    """A cluster of one machine; `start` before use, `stop` at the end.

    Args:
        folder: an empty one, on whose disk it keeps everything.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        port, gate = _free_port(), _free_port()
        super().__init__(url=f"http://127.0.0.1:{gate}")
        self._fsid = str(uuid.uuid4())
        settings = _SETTINGS.format(fsid=self._fsid, folder=folder, port=port, gate=gate)
        self._conf = folder / "ceph.conf"
        self._conf.write_text(settings)
        self._address = f"v2:127.0.0.1:{port}"

    def start(self) -> None:
        """Makes the cluster and waits until its gateway answers."""
        for name in ("mon", "mgr", "osd", "rgw"):
            (self._folder / name).mkdir()
        monmap = self._folder / "monmap"
        self._run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", f"[{self._address}]", str(monmap))
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap))
        self._begin("mon", "ceph-mon", "-f", "-i", "a")
        disk = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "60", "osd", "new", disk)
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", disk)
        self._begin("mgr", "ceph-mgr", "-f", "-i", "a")
        self.start_disk()
        user = ["user", "create", "--uid", "zoo", "--display-name", "zoo"]
        keys = ["--access-key", CREDENTIALS["aws_access_key_id"], "--secret-key", CREDENTIALS["aws_secret_access_key"]]
        self._run("radosgw-admin", *user, *keys)
        self.start_gateway()
        self._make_pools()

    def start_disk(self) -> None:
        """The storage daemon, made or killed before."""
        self._begin("osd", "ceph-osd", "-f", "-i", "0")

    def start_gateway(self) -> None:
        """The S3 gateway; waits until it answers."""
        self._begin("rgw", "radosgw", "-f", "-n", "client.rgw")
        deadline = time.monotonic() + _UP_S
        while not self._answers():
            if self._running["rgw"].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the gateway did not start:\n{self._said('rgw')}")
            time.sleep(0.1)

    def kill(self, part: str) -> None:
        """Kills ``osd`` or ``rgw`` as a power cut would."""
        self._running[part].send_signal(signal.SIGKILL)
        self._running.pop(part).wait()

    def stop(self) -> None:
        """Ends every process of it."""
        for part in list(self._running):
            self.kill(part)

    def _make_pools(self) -> None:
        """Has it make its pools, over which the first bucket, object and upload in parts wait for seconds."""
        client = self.client()
        place = {"Bucket": self.new_bucket(client), "Key": "first"}
        client.put_object(**place, Body=b"first")
        client.abort_multipart_upload(**place, UploadId=client.create_multipart_upload(**place)["UploadId"])

    def _run(self, program: str, *arguments: str) -> None:
        settings = [] if program == "monmaptool" else ["-c", str(self._conf)]
        done = subprocess.run(
            [program, *settings, *arguments], capture_output=True, text=True, timeout=_UP_S, check=False, env=_environ()
        )
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _begin(self, part: str, *command: str) -> None:
        with (self._folder / f"{part}.out").open("ab") as out:
            self._running[part] = subprocess.Popen(
                [command[0], "-c", str(self._conf), *command[1:]], stdout=out, stderr=out, env=_environ()
            )

    def _answers(self) -> bool:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(self.url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _said(self, part: str) -> str:
        return (self._folder / f"{part}.out").read_text(errors="replace")[-3000:]


@contextlib.contextmanager
def cluster() -> Iterator[Ceph]:
    """A cluster for as long as the block lasts; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="kdzoo-ceph-") as folder:
        made = Ceph(Path(folder))
        try:
            made.start()
            yield made
        finally:
            made.stop()


def _environ() -> dict[str, Any]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CEPH_")} | {"LC_ALL": "C"}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
