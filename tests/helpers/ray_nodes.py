"""A Ray of several nodes on this machine, each of which a test can kill, freeze and thaw."""

import contextlib
import os
import signal
from pathlib import Path

from ray.cluster_utils import Cluster

_STORE = 100 * 2**20
_LETS_IN = ("HOME", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Where a node sees whether its head asks for a token, and for which: an earlier Ray here may have left one."""


class RayNodes:
    """A head that runs no trials, and workers with one core each.

    Args:
        count: of the workers.
        dashboard: whether the head has one, and each node its agent.
    """

    def __init__(self, count, *, dashboard=False):
        head = {"num_cpus": 0, "object_store_memory": _STORE, "include_dashboard": dashboard}
        head |= {"dashboard_port": 0} if dashboard else {}
        # Tests have a home each: a node that joins in a later one would be turned away until its time is up.
        self._environ = {name: os.environ[name] for name in _LETS_IN if name in os.environ}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address, self.dashboard = self._cluster.address, self._cluster.webui_url
        self.session = Path(self._cluster.head_node.get_session_dir_path())
        self.nodes = [self.add() for _ in range(count)]

    def add(self, *, environ=None):
        """One more worker; ``environ`` for its processes."""
        # On a busy machine workers at Ray's own low priority would hardly begin.
        environ = {"RAY_worker_niceness": "0", **self._environ, **(environ or {})}
        return self._cluster.add_node(num_cpus=1, object_store_memory=_STORE, env_vars=environ)

    def node_of(self, pid):
        """The worker node that a process is a part of."""
        return next(node for node in self.nodes if pid in self.processes(node))

    def processes(self, node):
        """The raylet of a node and all that it started."""
        raylet = node.all_processes["raylet"][0].process.pid
        children, found, queue = _children(), [], [raylet]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue += children.get(pid, [])
        return found

    def trial_workers(self, node):
        """Those in which trials run."""
        return [pid for pid in self.processes(node) if b"Trainable" in _command(pid)]

    def trains(self, node):
        """Whether a trial runs on it at this moment; its worker stays from one trial to the next."""
        return any(b"Trainable.train" in _command(pid) for pid in self.trial_workers(node))

    def kill(self, node):
        """As if its plug was pulled."""
        pids = self.processes(node)
        self.nodes.remove(node)
        _signal(pids, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def freeze(self, node):
        """The machine hangs: connections stay, nothing answers."""
        pids = self.processes(node)
        _signal(pids, signal.SIGSTOP)
        return pids

    def thaw(self, pids):
        """It goes on as if nothing had been."""
        _signal(pids, signal.SIGCONT)

    def close(self):
        """Ends all nodes."""
        for node in self.nodes:
            self.thaw(self.processes(node))
        self._cluster.shutdown()


@contextlib.contextmanager
def ray_nodes(count, **given):
    """A cluster for as long as the block lasts."""
    cluster = RayNodes(count, **given)
    try:
        yield cluster
    finally:
        cluster.close()


def _signal(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _children():
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "status").read_text()
            except OSError:
                continue  # it ended meanwhile
            found.setdefault(int(status.split("PPid:")[1].split()[0]), []).append(int(folder.name))
    return found
