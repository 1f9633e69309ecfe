"""The end of a sweep whose disk has gone away."""

from kdzoo.tracking import SweepTracker


def test_a_journal_that_cannot_be_read_at_the_end_is_said_and_hides_no_other_error(tmp_path):
    folder, said = tmp_path / "sweep", []
    tracker = SweepTracker(
        f"sqlite:///{tmp_path / 'mlflow.db'}",
        artifacts=tmp_path / "artifacts",
        spool=folder / "mlflow.jsonl",
        sweep="night",
        method="rd",
        dataset="demo",
        protocol="holdout",
        objective="image_auroc",
        warn=said.append,
    )
    folder.rename(tmp_path / "away")
    folder.touch()
    tracker.close(timeout=0.1)
    assert any("cannot read the tracking journal" in text for text in said)
