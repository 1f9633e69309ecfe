"""Provokes each fault that a sweep must live through, in small real sweeps, and prints what came of it.

    python benchmarks/faults.py                   # a quarter of an hour: Ray of three nodes, MLflow, S3 on this machine
    python benchmarks/faults.py --only cluster    # or hanging, or alone

The same functions are asserted on by tests/integration/sweeps/test_faults_*.py.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers import faults, faults_alone, faults_mlflow
from helpers.faults import Rig, Row


def chain(folder, show):
    """One long sweep on three nodes, one fault after the other."""
    given = {"trials": 60, "epochs": 12}
    with Rig(folder, nodes=3) as rig:
        drive = rig.drive(categories=("bottle", "cable"), **given)
        drive.reached(2)
        show(Row(fault="MLflow down at the start", promised="training begins all the same", outcome="so", kept=True))
        show(faults.worker_killed(rig, drive))
        show(faults.node_fails_at_once(rig, drive))
        show(faults.node_killed(rig, drive))
        drive, row = faults.storage_away(rig, drive, seconds=15, **given)
        show(row)
        drive, row = faults.driver_killed(rig, drive, **given)
        show(row)
        rig.mlflow.start()
        show(faults_mlflow.mlflow_frozen(rig, drive, seconds=20))
        show(faults.asked_to_stop(rig, drive))
        drive = rig.drive(**given)
        show(faults_mlflow.interrupted_without_mlflow(rig, drive))


def hanging(folder, show):
    """A node that hangs takes Ray a minute to give up, and one that does not come the sweep: sweeps of their own."""
    for thaw in (True, False):
        with Rig(folder / str(thaw), nodes=3) as rig:
            show(faults.node_frozen(rig, rig.drive(trials=60, epochs=12), thaw=thaw))
    given = {"trials": 60, "epochs": 12, "patience": 20}
    with Rig(folder / "none", nodes=1) as rig:
        show(faults.no_node_left(rig, rig.drive(**given), **given))


def alone(folder, show):
    """What needs no cluster."""
    for fault in (
        faults_alone.ray_unreachable,
        faults_alone.loss_nan,
        faults_alone.interrupted_once,
        faults_alone.interrupted_twice,
        faults_alone.storage_gone,
        faults_alone.disk_full,
        faults_alone.bad_images,
    ):
        with Rig(folder / fault.__name__, nodes=0) as rig:
            show(fault(rig))


GROUPS = {"cluster": chain, "hanging": hanging, "alone": alone}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=GROUPS, help="one group of faults")
    only = parser.parse_args().only
    rows, started = [], time.monotonic()

    def show(row):
        rows.append(row)
        print(f"[{time.monotonic() - started:.0f} s] {row}", file=sys.stderr, flush=True)

    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, group in GROUPS.items():
                if only in (None, name):
                    group(Path(folder) / name, show)
    finally:
        print(table(rows))
    sys.exit(0 if all(row.kept for row in rows) else 1)


def table(rows):
    """The rows as Markdown."""
    lines = ["| fault | promised | restart, s | epochs again | trials lost | outcome | kept |", "|---" * 7 + "|"]
    for row in rows:
        restart = "" if row.restart_seconds is None else f"{row.restart_seconds:.0f}"
        kept = "yes" if row.kept else "NO"
        lines.append(
            f"| {row.fault} | {row.promised} | {restart} | {row.repeated} | {row.lost} | {row.outcome} | {kept} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
