"""Which checkpoint of a trial is there: the last one alone."""

from types import SimpleNamespace

from ray.tune import Checkpoint

from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.workers.checkpoints import Checkpoints


def checkpoint(folder, name):
    (folder / name).mkdir()
    (folder / name / "state.pt").write_bytes(b"state")
    return Checkpoint.from_directory(folder / name)


def test_a_newer_checkpoint_replaces_the_last_one(tmp_path):
    checkpoints, old, new = Checkpoints(SweepFolder(tmp_path)), checkpoint(tmp_path, "1"), checkpoint(tmp_path, "2")
    checkpoints.replaced(SimpleNamespace(checkpoint=None), old)
    assert (tmp_path / "1" / "state.pt").exists()
    checkpoints.replaced(SimpleNamespace(checkpoint=old), new)
    assert not (tmp_path / "1").exists() and (tmp_path / "2" / "state.pt").exists()
    checkpoints.replaced(SimpleNamespace(checkpoint=new), Checkpoint.from_directory(tmp_path / "2"))
    assert (tmp_path / "2" / "state.pt").exists(), "it was written once more, in its own place"
    checkpoints.replaced(SimpleNamespace(checkpoint=old), new)  # it is gone: a word in the log, no error
