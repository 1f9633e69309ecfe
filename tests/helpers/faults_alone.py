"""Faults that need no cluster: each has a sweep of its own on a local Ray. See `helpers.faults`."""

import contextlib
import json
import os
import signal
import subprocess
import time

from helpers.fault_watch import PATIENCE
from helpers.faults import Row, folder_away
from helpers.layouts import make_dataset
from helpers.sweeps import IMPOSSIBLE, small_plan

from kdzoo.training.data import TrialData

_FULL = {"trials": 20, "epochs": 30}


def _resumes(rig, **given):
    """Whether a sweep that ended goes on: a trial trains in it."""
    resumed = rig.drive(**given)
    try:
        resumed.reached(1)
        return True
    except AssertionError:
        return False
    finally:
        resumed.stop()


def storage_gone(rig):
    """The sweep's folder goes away and does not come back before the sweep has ended; then it is resumed."""
    drive = rig.drive(**_FULL)
    drive.reached(7)
    at = time.time()
    with folder_away(drive.sweep):
        last = drive.end()
    took, resumes = time.time() - at, _resumes(rig, **_FULL)
    text = last.get("text", last["what"])
    named = last["what"] == "error" and f"--resume {drive.sweep.name}" in (last.get("hint") or "")
    return Row(
        fault="storage away for good",
        promised="a clear error, resumable once it is back",
        outcome=f"ended after {took:.0f} s: {text}; {'resumed' if resumes else 'NOT resumed'}",
        kept=named and resumes,
    )


@contextlib.contextmanager
def small_disk(folder, megabytes):
    """A file system of its own in memory; needs the right to mount.

    Raises:
        PermissionError: there is none.
    """
    folder.mkdir(parents=True)
    options = ["-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, check=False).returncode:
        raise PermissionError("no right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def disk_full(rig):
    """Everything under KDZOO_HOME is on a disk that fills up in the middle; then there is room again."""
    home = rig.folder / "home"
    with small_disk(home, 1000):  # a sweep that might not fit is refused
        drive = rig.drive(**_FULL)
        drive.reached(3)
        at = time.time()
        filler = home / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        last = drive.end()
        took = time.time() - at
        filler.unlink()
        resumes = _resumes(rig, **_FULL)
        drive.stop()
    text = last.get("text", last["what"])
    named = last["what"] == "error" and ("space" in text or "disk" in text or "full" in text)
    return Row(
        fault="disk full in the middle",
        promised="a clear error, resumable once there is room",
        outcome=f"ended after {took:.0f} s: {text}; {'resumed' if resumes else 'NOT resumed'}",
        kept=named and resumes,
    )


def bad_images(rig):
    """The images of one category's final report are damaged while its trials train."""
    drive = rig.drive(categories=("bottle", "cable"), trials=2, epochs=60)
    drive.reached(1)
    # The trials are short: without its driver a category is not measured meanwhile.
    os.kill(drive.process.pid, signal.SIGSTOP)
    plan = small_plan(rig.folder, name=drive.sweep.name, trials=2)
    data = TrialData(plan.dataset, "bottle", plan.options_of("bottle"), cache=plan.settings.cache)
    for sample in data.parts.report:
        # Such small images have all their pixels in 60 bytes.
        sample.path.write_bytes(sample.path.read_bytes()[:45])
    os.kill(drive.process.pid, signal.SIGCONT)
    drive.end()
    concluded = {event["category"]: event for event in drive.events if event["what"] == "concluded"}
    note = next((text for text in drive.notes() if text.startswith("bottle has no test metrics")), "")
    return Row(
        fault="images of the report damaged in the middle",
        promised="the image is named, the sweep goes on",
        outcome=f"{note[:250]}; releases {[event['release'] for event in concluded.values()]}",
        kept=".png is damaged" in note and all(event["release"] == 1 for event in concluded.values()),
    )


def interrupted_once(rig):
    """Ctrl-C on a command that trains."""
    return _interrupted(rig, 1)


def interrupted_twice(rig):
    """Ctrl-C on a command that trains, and again before it has ended."""
    return _interrupted(rig, 2)


def _interrupted(rig, times):
    make_dataset(rig.folder / "parts", ("bottle",))
    given = ["--dataset", rig.folder / "parts", "--teacher", "random-resnet18", "--protocol", "holdout"]
    given += ["--image-size", 64, "--trials", 50, "--name", "hand", "--checkpoint-minutes", 0]
    for value in ("width=0.25", "batch_size=4", "amplify_epochs=1", "distil_epochs=12"):
        given += ["--set", value]
    running = rig.start("sweep", "aand", *given)
    # By the second one of a trial the driver knows what the first is worth.
    _saved(rig, running, "trials/*/checkpoint_000001/state.pt")
    at = time.time()
    for _ in range(times):
        os.killpg(running.pid, signal.SIGINT)
        time.sleep(0.3)
    status = running.wait(PATIENCE)
    took, said = time.time() - at, rig.said()
    shown = json.loads(rig.command("sweep", "show", "hand", "--json").stdout)
    published = ((shown["categories"][0]["outcome"] or {}).get("published") or {}).get("release")
    _saved(rig, rig.start("sweep", "--resume", "hand"), "trials-2/*/checkpoint_*/state.pt")
    kept = shown["state"] == "interrupted" and "Traceback" not in said
    return Row(
        fault="Ctrl-C" + " twice" * (times == 2),
        promised="ends at once, resumable" if times == 2 else "what is finished is published, resumable",
        outcome=f"ended after {took:.0f} s with status {status}, release {published}; resumed",
        kept=kept and (status == 130 if times == 2 else published == 1),
    )


def _saved(rig, running, pattern):
    """Waits for a checkpoint of a command that sweeps."""
    deadline = time.monotonic() + PATIENCE
    while not any((rig.folder / "home" / "sweeps" / "hand").glob(pattern)):
        assert running.poll() is None, rig.said()
        assert time.monotonic() < deadline, rig.said()
        time.sleep(0.2)


def loss_nan(rig):
    """Every trial of one category diverges."""
    drive = rig.drive(categories=("bottle", "cable"), trials=2, epochs=3, changes={"bottle": IMPOSSIBLE})
    drive.end()
    concluded = {event["category"]: event for event in drive.events if event["what"] == "concluded"}
    reason = concluded["bottle"]["reason"]
    return Row(
        fault="a loss that is NaN",
        promised="the trial fails with its reason, others go on",
        outcome=f"bottle: {reason}; cable: release {concluded['cable']['release']}",
        kept="the loss became nan" in reason and concluded["cable"]["release"] == 1,
    )


def ray_unreachable(rig):
    """Nothing answers at --ray-address."""
    make_dataset(rig.folder / "parts", ("bottle",))
    given = ["rd", "--dataset", rig.folder / "parts", "--teacher", "random-resnet18", "--protocol", "holdout"]
    rig.command("methods")  # imports are on the disk's cache then
    at = time.time()
    done = rig.command("sweep", *given, "--ray-address", "127.0.0.1:9")
    took = time.time() - at
    return Row(
        fault="nothing at --ray-address",
        promised="answers within seconds",
        outcome=f"status {done.returncode} after {took:.0f} s, start of Python included: {_error(done.stderr)}",
        kept=done.returncode == 1 and "no Ray cluster answers at '127.0.0.1:9'" in done.stderr,
    )


def _error(text):
    """The line that says what is wrong."""
    return next((line for line in text.splitlines() if line.startswith("Error")), text[-200:])
