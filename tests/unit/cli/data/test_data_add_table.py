"""`kdzoo data add NAME TABLE --root DIR`, and the table's images in other commands."""

import json

import pytest
from helpers.command import run
from helpers.layouts import make_dataset, write_image
from helpers.tables import coco_of, make_photos, studio_polygon, studio_task, write_table

from kdzoo.data.registered import registered
from kdzoo.settings import Settings


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def added(capsys, *arguments):
    ran = run(capsys, "data", "add", *arguments, "--json")
    assert ran.status == 0, ran.err
    return json.loads(ran.out), ran.err


def test_a_flat_folder_and_a_csv(capsys, tmp_path, photos):
    table = write_table(tmp_path / "lids.csv", make_photos(photos))
    result, err = added(capsys, "lids", table, "--root", photos)
    assert result == {
        "name": "lids",
        "path": str(photos),
        "table": str(table),
        "split": "made",
        "protocol": "holdout",
        "categories": [
            {"category": "lids", "train": 8, "validation": 0, "test_normal": 2, "test_defective": 4, "masks": 4}
        ],
    }
    assert "the table has no split: 80% of the normal images of a category train" in err
    text = run(capsys, "data", "add", "lids", table, "--root", photos)
    assert f"'lids' is {photos}, protocol holdout" in text.out and "kdzoo sweep aand --dataset lids" in text.out
    assert "until now" not in text.err


def test_the_tables_own_folder_is_the_root_where_none_is_given(capsys, photos):
    table = write_table(photos / "lids.csv", make_photos(photos), delimiter=";")
    assert added(capsys, "lids", table)[0]["path"] == str(photos)


def test_a_parquet(capsys, tmp_path, photos):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = make_photos(photos)
    columns = {key: [row.get(key) for row in rows] for key in ("path", "label", "mask", "defect_type")}
    parquet.write_table(pyarrow.table(columns), tmp_path / "lids.parquet")
    result, _ = added(capsys, "lids", tmp_path / "lids.parquet", "--root", photos)
    assert result["categories"][0]["masks"] == 4


def test_other_commands_know_it(capsys, tmp_path, photos):
    added(capsys, "lids", coco_of(photos, tmp_path / "c.json"), "--root", photos)
    verified = run(capsys, "data", "verify", "lids", "--json")
    assert verified.status == 0, verified.out
    (check,) = json.loads(verified.out)["categories"]
    assert (check["masks"], check["problems"], check["notes"]) == (4, [], [])
    shown = run(capsys, "data", "show", "lids", "-o", tmp_path / "sheet.png")
    assert shown.status == 0 and (tmp_path / "sheet.png").is_file()
    listed = {row["name"]: row for row in json.loads(run(capsys, "data", "--json").out)}
    assert (listed["lids"]["state"], listed["lids"]["images"]) == ("there", 14)
    options = (
        "--teacher",
        "random-test_resnet",
        "--image-size",
        64,
        "--epochs",
        1,
        "--set",
        "width=0.25",
        "--set",
        "epoch_steps=0",
    )
    trained = run(capsys, "train", "rd", "-d", "lids", *options, "--out", tmp_path / "out")
    assert trained.status == 0, trained.err
    document = json.loads((tmp_path / "out" / "detector.json").read_text())
    assert document["dataset"]["category"] == "lids" and "test_pixel_auroc" in document["metrics"]


def test_label_studio(capsys, tmp_path, photos):
    make_photos(photos, masks=False)
    tasks = [studio_task(f"n{number:02}.png") for number in range(10)]
    tasks += [studio_task(f"d{number:02}.png", studio_polygon([[0, 0], [50, 0], [50, 99]])) for number in range(4)]
    (tmp_path / "s.json").write_text(json.dumps(tasks))
    result, _ = added(capsys, "lids", tmp_path / "s.json", "--root", photos)
    assert result["categories"][0]["masks"] == 4


def test_again_and_removed(capsys, tmp_path, photos):
    rows = make_photos(photos)
    added(capsys, "lids", write_table(tmp_path / "lids.csv", rows), "--root", photos)
    tables = Settings.from_environment().tables
    (before,) = tables.iterdir()
    result, err = added(capsys, "lids", write_table(tmp_path / "lids.csv", rows[:-1]), "--root", photos)
    assert result["categories"][0]["test_defective"] == 3 and f"'lids' was {photos} until now" in err
    # A sweep that began with the table as it was goes on with it.
    (after,) = set(tables.iterdir()) - {before}
    assert before.is_dir() and registered(Settings.from_environment()) == {"lids": after}
    removed = run(capsys, "data", "add", "lids", "--remove")
    assert removed.status == 0 and f"{photos} was left alone" in removed.out
    assert not list(tables.iterdir()) and (photos / "n00.png").is_file()


def test_a_folder_takes_the_name_of_a_table(capsys, tmp_path, photos):
    added(capsys, "lids", write_table(tmp_path / "lids.csv", make_photos(photos)), "--root", photos)
    root = make_dataset(tmp_path / "other")
    _, err = added(capsys, "lids", root)
    assert f"'lids' was {photos} until now" in err
    removed = run(capsys, "data", "add", "lids", "--remove")
    assert f"{root} was left alone" in removed.out and not list(Settings.from_environment().tables.iterdir())


def test_a_table_that_is_wrong_registers_nothing(capsys, tmp_path, photos):
    rows = make_photos(photos)
    rows[3]["label"] = "fine"
    ran = run(capsys, "data", "add", "lids", write_table(tmp_path / "lids.csv", rows), "--root", photos)
    assert ran.status == 1 and "lids.csv, line 5, label: 'fine' is unknown" in ran.err
    write_image(tmp_path / "secret.png")
    rows[3].update(label="good", path="../secret.png")
    ran = run(capsys, "data", "add", "lids", write_table(tmp_path / "lids.csv", rows), "--root", photos)
    assert ran.status == 1 and "lids.csv, line 5, path: '../secret.png' leads out" in ran.err
    assert registered(Settings.from_environment()) == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lids", "nowhere.csv"), "is not there"),
        (("lids", "photos", "--root", "photos"), "is a folder, not a table"),
        (("lids", "lids.csv", "--root", "nowhere"), "there is no folder"),
        (("visa", "lids.csv"), "'visa' is the name of another data set"),
        (("dtd", "lids.csv"), "'dtd' is the name of another data set"),
        (("demo", "lids.csv"), "'demo' is the name of another data set"),
        (("Lids", "lids.csv"), "Lids"),
        (("lids", "--remove", "--root", "photos"), "--remove takes no folder"),
    ],
)
def test_what_cannot_be_asked(capsys, tmp_path, photos, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "lids.csv", make_photos(photos))
    ran = run(capsys, "data", "add", *arguments)
    assert ran.status in (1, 2) and said in ran.err
    assert registered(Settings.from_environment()) == {}


def test_a_table_is_no_data_set_by_its_path(capsys, tmp_path, photos):
    table = write_table(tmp_path / "lids.csv", make_photos(photos))
    ran = run(capsys, "data", "verify", table)
    assert ran.status == 1 and "kdzoo data add NAME TABLE --root DIR" in ran.err
