"""Training, saving and predicting need none of the sweep's, tracker's, zoo's or command line's libraries."""

from helpers.trials import in_new_process

BLOCKED = """
import json, sys
from pathlib import Path

refused = ("ray", "mlflow", "optuna", "boto3", "botocore", "click", "rich")

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is refused")
        return None

sys.meta_path.insert(0, Refuse())
from helpers.trials import small_trial
from kdzoo.detector import Detector
from kdzoo.methods.registry import METHODS
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.outcome import conclude

import importlib, pkgutil, kdzoo
parts = ("data", "metrics", "teachers", "methods", "training")
modules = [each.name for part in parts for each in pkgutil.walk_packages(
    importlib.import_module("kdzoo." + part).__path__, f"kdzoo.{part}.")]
for name in modules:
    importlib.import_module(name)

root, scores = Path(sys.argv[1]), {}
for method in METHODS:
    trainer = small_trial(root, method, epochs=1)
    trainer.step()
    save_state(root / "state.pt", trainer.state())
    trainer = small_trial(root, method, epochs=1)
    trainer.load_state(load_state(root / "state.pt"))
    trainer.run()
    outcome = conclude(trainer)
    folder = Detector(outcome.method, outcome.document).save(root / method)
    image = trainer.data.parts.report[0].path
    scores[method] = Detector.open(folder).predict(image).score
loaded = sorted({name.partition(".")[0] for name in sys.modules} & set(refused))
print(json.dumps({"scores": scores, "loaded": loaded, "modules": len(modules), "methods": sorted(METHODS)}))
"""


def test_the_core_runs_where_those_libraries_cannot_be_imported(tmp_path):
    found = in_new_process(BLOCKED, tmp_path)
    assert found["loaded"] == []
    assert found["modules"] > 25
    assert sorted(found["scores"]) == found["methods"]
    assert all(score > 0 for score in found["scores"].values())
