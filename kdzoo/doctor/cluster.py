"""Does Ray answer, and is every machine of it fit for a trial?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdzoo.data.catalog import Dataset
from kdzoo.doctor.dataset import opened
from kdzoo.doctor.finding import HERE, Asked, Finding, State
from kdzoo.doctor.node_report import NodeReport, fingerprints_of, look, versions
from kdzoo.errors import KdzooError, StorageError, SweepError
from kdzoo.search.workers.cluster import check_address, cluster
from kdzoo.search.workers.node_checks import HOME_HINT
from kdzoo.settings import Settings

_NODE_SECONDS = 60.0
"""To start a worker, load PyTorch there and read the index of a data set; joining takes the rest of the limit."""
_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Member:
    """A living machine of the cluster.

    Attributes:
        id: Ray's.
        name: for people.
        cpus: cores that Ray gives out.
        gpus: GPUs that Ray gives out.
    """

    id: str
    name: str
    cpus: float
    gpus: float


def check(asked: Asked, settings: Settings) -> list[Finding]:
    """Joins the cluster, or starts a Ray here as a sweep would, and asks every node.

    Raises:
        SweepError: no cluster answers, or none can be started.
        StorageError: home cannot be written.
    """
    check_address(settings.ray_address)
    try:
        dataset = opened(asked, settings)
        prints = fingerprints_of(dataset)
    except KdzooError:
        dataset, prints = None, {}  # the check of the data set says what is wrong with it
    try:
        # What Ray has to say beyond its error is of no use here, and a file of it would stay if this is killed.
        with cluster(settings.ray_address, log=Path(os.devnull)):
            members = _members()
            reports = _ask(members, settings, dataset)
    except SweepError as error:
        raise SweepError(error.message, hint=_with_token_trap(error.hint or "", settings)) from error
    cpus, gpus = sum(one.cpus for one in members), sum(one.gpus for one in members)
    where = settings.ray_address or "started here"
    count = "1 node" if len(members) == 1 else f"{len(members)} nodes"
    found = [Finding(check="ray", state="ok", what=f"{where}: {count}, {cpus:g} CPUs, {gpus:g} GPUs")]
    for member in members:
        report = reports[member.id]
        alone = len(members) == 1
        found += [report] if isinstance(report, Finding) else judge(member, report, versions(), prints, alone=alone)
    return found


def judge(
    member: Member, report: NodeReport, own: Mapping[str, str], prints: Mapping[str, str], *, alone: bool
) -> list[Finding]:
    """What a node's report means.

    Args:
        member: the node.
        report: what it saw.
        own: the driver's versions.
        prints: category to the digest of what the driver sees; empty when no data set was asked for.
        alone: whether the cluster is this node alone, which then shares nothing with others.
    """
    found = [_versions(member, report, own), _gpus(member, report), report.disk]
    if not alone:
        found.append(_home(member, report))
    if prints or report.dataset_trouble:
        found.append(_dataset(member, report, prints))
    return found


def _versions(member: Member, report: NodeReport, own: Mapping[str, str]) -> Finding:
    other = [f"{name} {there}, driver {own[name]}" for name, there in report.versions.items() if own[name] != there]
    if not other:
        shown = ", ".join(f"{name} {there}" for name, there in report.versions.items())
        return Finding(check="versions", node=member.name, state="ok", what=shown)
    return Finding(
        check="versions",
        node=member.name,
        state="fail",
        what="; ".join(other),
        hint="install the same on every node: pip install -c constraints.txt kdzoo",
    )


def _gpus(member: Member, report: NodeReport) -> Finding:
    counted = f"Ray gives out {member.gpus:g} GPUs, PyTorch can use {report.gpus}"
    state: State = "ok"
    hint = ""
    if report.gpus < member.gpus:
        state, hint = "fail", "install a CUDA build of torch and a driver that fits it (see nvidia-smi there)"
    elif report.gpus and not member.gpus:
        state, hint = "warn", "trials will train on the CPU: start Ray there with --num-gpus"
    return Finding(check="gpus", node=member.name, state=state, what=counted, hint=hint)


def _home(member: Member, report: NodeReport) -> Finding:
    if report.sees_home:
        return Finding(check="shared home", node=member.name, state="ok", what="sees the driver's KDZOO_HOME")
    return Finding(
        check="shared home",
        node=member.name,
        state="fail",
        what="does not see the driver's KDZOO_HOME, where trials keep their checkpoints",
        hint=HOME_HINT,
    )


def _dataset(member: Member, report: NodeReport, prints: Mapping[str, str]) -> Finding:
    what, hint = "the same images as the driver", ""
    other = [name for name, digest in prints.items() if report.fingerprints.get(name) != digest]
    if report.dataset_trouble:
        what, hint = report.dataset_trouble, "put it there under the same path, or on storage that all nodes mount"
    elif other:
        named = ", ".join(other[:_MOST_NAMED]) + (
            f" and {len(other) - _MOST_NAMED} more" if other[_MOST_NAMED:] else ""
        )
        what, hint = f"other images than the driver's in {named}", "copy the driver's folder there"
    return Finding(check="data set", node=member.name, state="fail" if hint else "ok", what=what, hint=hint)


def _members() -> list[Member]:
    import ray

    here = ray.get_runtime_context().get_node_id()
    members = []
    for node in ray.nodes():
        if node["Alive"]:
            resources, name = node["Resources"], f"{node['NodeManagerHostname']} {node['NodeID'][:6]}"
            members.append(
                Member(
                    id=node["NodeID"],
                    name=name,
                    cpus=float(resources.get("CPU", 0.0)),
                    gpus=float(resources.get("GPU", 0.0)),
                )
            )
    if len(members) == 1 and members[0].id == here:
        return [Member(id=here, name=HERE, cpus=members[0].cpus, gpus=members[0].gpus)]
    return sorted(members, key=lambda member: (member.id != here, member.name))


def _ask(members: list[Member], settings: Settings, dataset: Dataset | None) -> dict[str, NodeReport | Finding]:
    """Every node's report, or what is wrong with a node that gives none."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=settings.home) as marker:
            task: Any = ray.remote(look)
            asked = {}
            for member in members:
                # No CPU is asked for: on a busy cluster the task would wait for a trial to end.
                pinned = NodeAffinitySchedulingStrategy(member.id, soft=False)
                placed = task.options(num_cpus=0, max_retries=0, scheduling_strategy=pinned)
                asked[placed.remote(member.name, settings, Path(marker.name), dataset)] = member
            done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_NODE_SECONDS)
            return {member.id: _answer(ref, member, ref in done) for ref, member in asked.items()}
    except OSError as error:
        raise StorageError(
            f"cannot write to '{settings.home}': {error.strerror or error}",
            hint="set KDZOO_HOME to a folder of your own",
        ) from error


def _answer(ref: Any, member: Member, done: bool) -> NodeReport | Finding:
    import ray

    from kdzoo.search.workers.reasons import reason

    if not done:
        what, hint = f"does not answer within {_NODE_SECONDS:g} s", "restart Ray there: `ray stop`, then `ray start`"
        return Finding(check="ray", node=member.name, state="fail", what=what, hint=hint)
    try:
        report: NodeReport = ray.get(ref)
    except (ray.exceptions.RayError, RuntimeError, ImportError) as error:
        hint = "is kdzoo installed there, in the same version, with the same Python?"
        return Finding(check="ray", node=member.name, state="fail", what=reason(error), hint=hint)
    return report


def _with_token_trap(hint: str, settings: Settings) -> str:
    """Ray's own trap: a token that an earlier local Ray left turns authentication on for `ray start --head` alone."""
    token = Path("~/.ray/auth_token").expanduser()
    if settings.ray_address is None or "RAY_AUTH_MODE" in os.environ or not token.exists():
        return hint
    return f"{hint}; if the cluster asks for a token ({token} exists): export RAY_AUTH_MODE=token on every node"
