"""A table taken up: checked, split where it has no split, kept whole, read again by the layout's reader."""

import json

import numpy as np
import pytest
from helpers.archives import contents
from helpers.layouts import HEIGHT, WIDTH, write_image
from helpers.tables import coco_of, make_photos, studio_polygon, studio_task, write_table
from PIL import Image

from kdzoo.data.cache.decoded import decode
from kdzoo.data.layouts import table as layout
from kdzoo.data.tables.take_up import MADE_SPLIT, put_away, read_table, take_up
from kdzoo.errors import DatasetError, DatasetNotFoundError, ImageError, StorageError, UsageError


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture
def take(tmp_path, photos):
    """Takes rows up as the table ``lids.csv``; or a file."""

    def take(rows, name="lids", **given):
        file = write_table(tmp_path / "lids.csv", rows) if isinstance(rows, list) else rows
        return take_up(name, file, photos, tmp_path / "tables", **given)

    return take


def counts(index):
    return index.count("train"), index.count("validation"), index.count("test", 0), index.count("test", 1)


def test_without_a_split_one_is_made_and_said(take, photos):
    taken = take(make_photos(photos))
    assert taken.split_is_made and taken.notes == (MADE_SPLIT,)
    assert layout.categories(taken.folder) == {"lids": taken.folder}
    index = layout.read_category("lids", "lids", taken.folder)
    assert index.root == photos and counts(index) == (8, 0, 2, 4)
    assert {sample.defect_type for sample in index.samples} == {"good", "scratch"}
    assert all(sample.mask_path == photos / "masks" / sample.path.name for sample in index.samples if sample.label)


def test_who_trains_follows_from_the_paths_alone(take, photos):
    rows = make_photos(photos)
    train = {sample.id for sample in layout.read_category("l", "lids", take(rows).folder).of_split("train")}
    other = take(list(reversed(rows)), name="others").folder
    assert {sample.id for sample in layout.read_category("o", "others", other).of_split("train")} == train


def test_normal_images_alone_all_train(take, photos):
    taken = take(make_photos(photos, normal=3, defective=0))
    assert counts(layout.read_category("l", "lids", taken.folder)) == (3, 0, 0, 0)
    taken = take(make_photos(photos, normal=1, defective=1))
    assert counts(layout.read_category("l", "lids", taken.folder)) == (1, 0, 0, 1)


def test_a_split_of_the_tables_own_is_kept(take, photos):
    rows = make_photos(photos)
    for number, row in enumerate(rows):
        row["split"] = "test" if row["label"] == "defect" else ("train", "val", "test")[number % 3]
    taken = take(rows)
    assert not taken.split_is_made and taken.notes == ()
    assert counts(layout.read_category("l", "lids", taken.folder)) == (4, 3, 3, 4)


def test_categories(take, photos):
    rows = make_photos(photos)
    for number, row in enumerate(rows):
        row["category"] = ("Metal Nut", "bolt")[number % 2]
    taken = take(rows)
    assert list(layout.categories(taken.folder)) == ["bolt", "metal-nut"]
    rows[2]["category"] = "metal-nut"
    with pytest.raises(DatasetError, match=r"lids\.csv, line 4, category: 'metal-nut' and 'Metal Nut' would both be"):
        take(rows)
    rows[2]["category"] = "--"
    with pytest.raises(DatasetError, match=r"lids\.csv, line 4, category: no name can be made of '--'"):
        take(rows)


def test_the_same_table_gives_the_same_folder_and_nothing_is_left_beside_it(take, photos, tmp_path):
    rows = make_photos(photos)
    before, images = take(rows).folder, contents(photos)
    assert take(rows).folder == before
    rows[0]["label"] = "defect"
    after = take(rows).folder
    assert after != before and {path.name for path in (tmp_path / "tables").iterdir()} == {before.name, after.name}
    assert contents(photos) == images
    (tmp_path / "tables" / "lids-mine").mkdir()
    other = take(rows, name="lids-2").folder
    assert put_away("lids", tmp_path / "tables") == 2 and put_away("lids", tmp_path / "tables") == 0
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {"lids-mine", other.name}
    assert contents(photos) == images


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "../secret.png"}, "line 2, path: '../secret.png' leads out"),
        ({"path": "link.png"}, "line 2, path: 'link.png' leads out"),
        ({"path": "none.png"}, "line 2, path: 'none.png' is not there"),
        ({"path": "n01.png"}, "line 3, path: n01.png was named before, in "),
        ({"split": "test", "label": "defect", "mask": "../secret.png"}, "line 2, mask: '../secret.png' leads out"),
        (
            {"split": "test", "label": "defect", "mask": "masks/d00.png"},
            "line 12, mask: masks/d00.png was named before",
        ),
        ({"label": "defect"}, "line 2, split: a defective image among those to train on"),
    ],
)
def test_what_is_wrong_is_named(take, photos, change, words):
    rows = [{**row, "split": "train" if row["label"] == "good" else "test"} for row in make_photos(photos)]
    write_image(photos.parent / "secret.png")
    (photos / "link.png").symlink_to(photos.parent / "secret.png")
    rows[0].update(change)
    with pytest.raises(DatasetError) as caught:
        take(rows)
    assert f"lids.csv, {words}" in str(caught.value)
    assert not list(photos.parent.glob("tables/*"))


def test_nothing_to_train_on(take, photos):
    rows = make_photos(photos, normal=0)
    with pytest.raises(DatasetError, match="no normal images of 'lids'"):
        take(rows)
    with pytest.raises(DatasetError, match="names no images"):
        take(_only_a_heading(photos.parent / "e.csv"))


def _only_a_heading(file):
    file.write_text("path,label\n")
    return file


def test_masks_of_some_are_told(take, photos):
    rows = make_photos(photos)
    del rows[-1]["mask"]
    (_, note) = take(rows).notes
    assert note.startswith("1 of the 4 defective images of 'lids' have no mask (first: ") and "line 15" in note


def test_masks_are_drawn_from_coco(take, photos, tmp_path):
    steps = []
    taken = take(coco_of(photos, tmp_path / "c.json"), progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    index = layout.read_category("lids", "lids", taken.folder)
    assert counts(index) == (8, 0, 2, 4)
    part = decode(index.of_split("test"), size=8, cache_dir=tmp_path / "cache", masks=True)
    halves = [mask[:, :4].all() and not mask[:, 4:].any() for mask in part.masks[part.labels == 1]]
    assert halves == [True] * 4 and not part.masks[part.labels == 0].any()


def test_other_polygons_are_another_entry_of_the_decoded_cache(take, photos, tmp_path):
    file = coco_of(photos, tmp_path / "c.json")

    def masks():
        index = layout.read_category("lids", "lids", take(file).folder)
        return decode(index.of_split("test"), size=8, cache_dir=tmp_path / "cache", masks=True).masks

    before = np.array(masks())
    content = json.loads(file.read_text())
    for mark in content["annotations"]:
        mark["segmentation"] = [[0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT]]
    file.write_text(json.dumps(content))
    assert masks().sum() == 2 * before.sum()


def test_masks_are_drawn_from_label_studio(take, photos, tmp_path):
    make_photos(photos, masks=False)
    tasks = [studio_task(f"/data/upload/1/0a1b2c3d-n{number:02}.png") for number in range(10)]
    half = [[0, 0], [50, 0], [50, 100], [0, 100]]
    tasks += [studio_task(f"d{number:02}.png", studio_polygon(half)) for number in range(4)]
    (tmp_path / "s.json").write_text(json.dumps(tasks))
    index = layout.read_category("lids", "lids", take(tmp_path / "s.json").folder)
    assert counts(index) == (8, 0, 2, 4)
    masks = [np.asarray(Image.open(sample.mask_path)) for sample in index.samples if sample.label]
    assert all((mask[:, : WIDTH // 2] == 255).all() and not mask[:, WIDTH // 2 :].any() for mask in masks)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"width": 24}, DatasetError, "images[10]: its mask is 24x8 pixels, but its image d00.png is 12x8"),
        ({"file_name": "broken.png"}, ImageError, "broken.png"),
    ],
)
def test_a_drawing_that_does_not_fit(take, photos, tmp_path, change, error, words):
    content = json.loads(coco_of(photos, tmp_path / "c.json").read_text())
    (photos / "broken.png").write_bytes(b"no image")
    content["images"][10].update(change)
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(error) as caught:
        take(tmp_path / "c.json")
    assert words in str(caught.value) and not list(tmp_path.glob("tables/*"))


def test_marks_beside_the_image(take, photos, tmp_path):
    content = json.loads(coco_of(photos, tmp_path / "c.json").read_text())
    content["annotations"][0]["segmentation"] = [[100, 100, 110, 100, 110, 110]]
    (tmp_path / "c.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"images\[10\]: its marks lie outside its image d00\.png"):
        take(tmp_path / "c.json")


def test_files_that_are_no_tables(photos, tmp_path):
    (tmp_path / "a.xlsx").touch()
    with pytest.raises(UsageError, match=r"a\.xlsx is no table"):
        read_table(tmp_path / "a.xlsx", photos)
    (tmp_path / "a.json").write_text('{"images": []}')
    with pytest.raises(DatasetError, match=r"neither COCO's JSON"):
        read_table(tmp_path / "a.json", photos)


def test_a_folder_that_cannot_be_written(take, photos, tmp_path):
    (tmp_path / "tables").write_bytes(b"in the way")
    with pytest.raises(StorageError, match="cannot write"):
        take(make_photos(photos))


class TestReading:
    @pytest.fixture
    def folder(self, take, photos):
        return take(make_photos(photos)).folder

    def read(self, folder):
        return layout.read_category("lids", "lids", folder)

    def test_what_went_away(self, folder, photos, tmp_path):
        (photos / "n03.png").unlink()
        (photos / "masks" / "d00.png").unlink()
        with pytest.raises(
            DatasetNotFoundError, match=r"lids/lids: 2 of 14 images cannot be used, first d00\.png: its mask"
        ):
            self.read(folder)
        photos.rename(tmp_path / "moved")
        with pytest.raises(DatasetNotFoundError, match=r"the folder of its images, .*photos, is not there"):
            self.read(folder)

    def test_a_link_that_leads_out_by_now(self, folder, photos):
        write_image(photos.parent / "secret.png")
        (photos / "n03.png").unlink()
        (photos / "n03.png").symlink_to(photos.parent / "secret.png")
        with pytest.raises(DatasetNotFoundError, match=r"n03\.png: leads out"):
            self.read(folder)

    @pytest.mark.parametrize("file", ["table.json", "categories/lids.json"])
    @pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema": "kdzoo-table/9"}', b'{"schema": "kdzoo-table/1"}'])
    def test_damage(self, folder, file, content):
        (folder / file).write_bytes(content)
        with pytest.raises(DatasetError, match="is damaged") as caught:
            self.read(folder)
        assert "kdzoo data add" in caught.value.hint

    @pytest.mark.parametrize(
        "change", [{"split": "dev"}, {"split": 3}, {"defect": ""}, {"mask": 1}, {"drawn": "../x.png"}]
    )
    def test_a_row_that_kdzoo_did_not_write(self, folder, change):
        file = folder / "categories" / "lids.json"
        content = json.loads(file.read_text())
        content["samples"][0].update(change)
        file.write_text(json.dumps(content))
        with pytest.raises(DatasetError):
            self.read(folder)

    def test_other_folders(self, photos, tmp_path):
        assert layout.categories(photos) == {}
        with pytest.raises(DatasetNotFoundError, match="nowhere"):
            layout.categories(tmp_path / "nowhere")
        with pytest.raises(DatasetNotFoundError, match="lids/lids"):
            self.read(photos)
