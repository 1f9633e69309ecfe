from kdzoo.tracking import CategoryEnd, ReleaseRef
from kdzoo.tracking.notes import MAX_NOTE, category_note, experiment_note, model_note, sweep_note

REF = ReleaseRef(zoo="s3://plant/zoo", entry="rd/demo/weave", release=3, manifest_sha256="ab" * 32)
TAGS = {
    "kdzoo.method": "rd",
    "kdzoo.dataset": "demo",
    "kdzoo.protocol": "holdout",
    "kdzoo.objective": "aupro",
    "kdzoo.teacher": "kdzoo-tiny",
}


def end(category, **said):
    metrics = {"val_aupro": 0.75, "test_aupro": 0.7, "test_image_auroc": 0.912345}
    return CategoryEnd(category=category, metrics=metrics, **said)


def test_a_sweep_says_what_it_is_how_it_was_measured_and_how_to_load():
    note = sweep_note(TAGS, [end("weave", published=REF, champion=True), end("print", reason="no | usable\ntrial")])
    assert "**rd**" in note and "**holdout**: selection saw half" in note and "kdzoo-tiny" in note
    assert "| weave | 0.9123 | – | – | 0.7000 | 3 (champion) |" in note
    assert "| print | 0.9123 | – | – | 0.7000 | no / usable trial |" in note
    assert 'kdzoo.load("rd", "demo/weave", zoo="s3://plant/zoo")' in note


def test_a_sweep_of_a_thousand_categories_fits_and_still_says_how_to_load():
    note = sweep_note(TAGS, [end(f"part-{number}", published=REF) for number in range(1000)])
    assert len(note) <= MAX_NOTE
    assert "more lines" in note and note.endswith("```")


def test_a_category_shows_selection_beside_report_and_its_release_by_number():
    note = category_note(TAGS, end("weave", published=REF), "weave-0002")
    assert "trial `weave-0002`" in note
    assert "| aupro | 0.7500 | 0.7000 |" in note and "| image_auroc | – | 0.9123 |" in note
    assert "did not become champion" in note and "release=3" in note


def test_a_failed_category_says_why():
    note = category_note(TAGS, CategoryEnd(category="weave", metrics={}, reason="no usable trial: NaN"), None)
    assert "Reason: no usable trial: NaN" in note and "kdzoo.load" not in note


def test_experiments_and_models_say_how_to_filter_and_load():
    assert "tags.`kdzoo.champion` = 'true'" in experiment_note("kdzoo/rd/my/odd name")
    assert "**my/odd name**" in experiment_note("kdzoo/rd/my/odd name")
    assert "models:/kdzoo.rd.demo.weave@champion" in model_note(REF)
