"""A cluster that scales from nothing, by Ray's own fake autoscaler: its nodes are processes of this machine.

`ray.cluster_utils.AutoscalingCluster` does the same, but needs a file that Ray's wheels lack, and ends every Ray of the
machine when it begins.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from helpers.ray_nodes import _children
from ray.util import get_node_ip_address

_HEAD = "ray.head.default"
_HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"
_STORE = 100 * 2**20


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _config(address, kinds):
    types = {
        name: {
            "resources": {**held, "object_store_memory": _STORE},
            "node_config": {},
            "min_workers": 0,
            "max_workers": most,
        }
        for name, (held, most) in kinds.items()
    }
    types[_HEAD] = {"resources": {"CPU": 0}, "node_config": {}, "min_workers": 0, "max_workers": 0}
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "fake",
        "max_workers": 8,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": address,
            "head_node_id": _HEAD_ID,
            "launch_multiple": True,
            "disable_node_updaters": True,
        },
        "available_node_types": types,
        "head_node_type": _HEAD,
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": 5,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        **{f"{name}_commands": [] for name in commands},
    }


def _descendants(pid):
    children, found, queue = _children(), [], [pid]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


@contextlib.contextmanager
def autoscaling(folder, kinds):
    """A head that runs nothing, and an autoscaler that adds nodes when they are asked for.

    Args:
        folder: for the configuration.
        kinds: name of a kind of node to its resources, and how many of it there may be.

    Yields:
        The head's address.
    """
    port, host = _free_port(), get_node_ip_address()
    address = f"{host}:{port}"
    config = Path(folder, "autoscaler.json")
    config.write_text(json.dumps(_config(address, kinds)))
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=0"]
    given = [f"--port={port}", f"--object-store-memory={_STORE}"]
    given += [f"--autoscaling-config={config}", "--include-dashboard=false", "--disable-usage-stats"]
    environ = {
        "RAY_AUTH_MODE": "disabled",
        **os.environ,  # a Ray that this process had before may have left it with a token, which all of it then needs
        "RAY_FAKE_CLUSTER": "1",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD_ID,
        "RAY_worker_niceness": "0",
    }
    with Path(folder, "head.log").open("wb") as log:
        head = subprocess.Popen([*ray, *given], env=environ, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and head.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
                break
            time.sleep(0.2)
        yield address
    finally:
        for pid in _descendants(head.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        head.wait()
