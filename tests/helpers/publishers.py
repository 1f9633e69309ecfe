"""Processes that publish to a zoo: forked from one that has loaded everything, so that hundreds can be killed.

    python publishers.py kill URI SCRATCH COUNT SEED      # COUNT publishers one after the other, each killed
    python publishers.py race URI SCRATCH COUNT           # COUNT publishers at the same moment
    python publishers.py loop URI SCRATCH COUNT           # COUNT publishers, each again until SCRATCH/stop is there

Prints one line of JSON.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import PublishStateUnknownError, RegistryError
from zoo_registry.store.open import open_store
from zoo_registry.zoo.registry import Registry

ENTRY = "rd/demo/weave"


def weights(writer: int, n: int) -> bytes:
    """The blob of its own of a release."""
    return f"{writer} {n} ".encode() * 5_000


def publish(uri: str, scratch: Path, writer: int, n: int) -> int:
    """One release with a blob of its own and one that all share; gives its number."""
    # Proved once, by the first: a probe takes longer than a publish, and would be hit by most kills.
    registry = Registry(open_store(uri, notes=scratch / "cache"), BlobCache(scratch / "cache"))
    if "://" not in uri:
        registry.probe = lambda: None
    own, shared = scratch / f"own-{writer}", scratch / f"shared-{writer}"
    own.write_bytes(weights(writer, n))
    shared.write_bytes(b"teacher" * 5_000)
    return registry.publish(ENTRY, {"writer": writer, "n": n}, {"weights": own, "teacher": shared}).release


def kill(uri: str, scratch: Path, count: int, seed: int) -> dict[str, object]:
    began = time.perf_counter()
    publish(uri, scratch, 0, 0)
    usual = time.perf_counter() - began
    dice, exited = random.Random(seed), 0
    for writer in range(1, count + 1):
        child = os.fork()
        if child == 0:
            n = 0
            while True:
                publish(uri, scratch, writer, n)
                n += 1
        time.sleep(dice.uniform(0, 2 * min(usual, 0.5)))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        exited += not os.WIFSIGNALED(status)
        for path in (scratch / f"own-{writer}", scratch / f"shared-{writer}"):
            path.unlink(missing_ok=True)
    return {"killed": count - exited, "usual": usual}


def race(uri: str, scratch: Path, count: int) -> dict[str, object]:
    gate, gate_end = os.pipe()
    answers, answers_end = os.pipe()
    children = []
    for writer in range(count):
        child = os.fork()
        if child == 0:
            os.close(gate_end)
            os.read(gate, 1)  # returns when the parent closes its end
            release = publish(uri, scratch, writer, 0)
            os.write(answers_end, f"{writer} {release}\n".encode())
            os._exit(0)
        children.append(child)
    os.close(answers_end)
    os.close(gate_end)
    with os.fdopen(answers) as file:
        won = [tuple(map(int, line.split())) for line in file]
    failed = sum(os.waitpid(child, 0)[1] != 0 for child in children)
    return {"won": won, "failed": failed}


def loop(uri: str, scratch: Path, count: int) -> dict[str, object]:
    """What each was told of each publish: ``[writer, n, said, release, error]``.

    ``said`` is ``done``; ``there`` when an error said that the release is there all the same; ``unsure`` when an error
    said that it cannot be known; ``failed`` when it was not written.
    """
    open_store(uri, notes=scratch / "cache").prove()
    children = []
    for writer in range(count):
        child = os.fork()
        if child == 0:
            with (scratch / f"told-{writer}").open("w") as told:
                n = 0
                while not (scratch / "stop").exists():
                    told.write(json.dumps([writer, n, *_try(uri, scratch, writer, n)]) + "\n")
                    told.flush()
                    n += 1
            os._exit(0)
        children.append(child)
    broken = sum(os.waitpid(child, 0)[1] != 0 for child in children)
    lines = [line for writer in range(count) for line in (scratch / f"told-{writer}").read_text().splitlines()]
    return {"told": [json.loads(line) for line in lines], "broken": broken}


def _try(uri: str, scratch: Path, writer: int, n: int) -> tuple[str, int | None, str]:
    try:
        return "done", publish(uri, scratch, writer, n), ""
    except PublishStateUnknownError as error:
        return "unsure", None, str(error)
    except RegistryError as error:
        text = str(error)
        return ("there" if "is written" in text or "is published" in text else "failed"), None, text


if __name__ == "__main__":
    command, uri, scratch, *numbers = sys.argv[1:]
    print(json.dumps({"kill": kill, "race": race, "loop": loop}[command](uri, Path(scratch), *map(int, numbers))))
