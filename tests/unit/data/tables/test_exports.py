"""JSON of labelling tools: what images, kinds of defects and masks are made of it, and what is refused."""

import copy
import json

import numpy as np
import pytest
from helpers.layouts import HEIGHT, WIDTH, write_image
from helpers.tables import coco_of, studio_polygon, studio_task

from kdzoo.data.inside import Inside
from kdzoo.data.tables.coco import coco_table, is_coco
from kdzoo.data.tables.json_file import read_json
from kdzoo.data.tables.label_studio import is_label_studio, label_studio_table
from kdzoo.errors import DatasetError

HALF = [[0, 0], [50, 0], [50, 100], [0, 100]]


def left_half():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : WIDTH // 2] = True
    return mask


class TestJson:
    def test_line_and_column_of_what_is_no_json(self, tmp_path):
        (tmp_path / "a.json").write_text('{"images": [],\n "annotations": [}')
        with pytest.raises(DatasetError, match=r"a\.json, line 2, column 18: "):
            read_json(tmp_path / "a.json")

    @pytest.mark.parametrize("text", ['{"a": NaN}', "[" * 100_000])
    def test_what_is_refused(self, tmp_path, text):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(DatasetError, match=r"a\.json is not JSON"):
            read_json(tmp_path / "a.json")
        with pytest.raises(DatasetError, match="cannot read"):
            read_json(tmp_path / "nowhere.json")


class TestCoco:
    @pytest.fixture
    def content(self, tmp_path):
        return json.loads(coco_of(tmp_path / "photos", tmp_path / "c.json", normal=2, defective=2).read_text())

    def rows(self, content, tmp_path):
        assert is_coco(content)
        return coco_table(content, tmp_path / "c.json").rows

    def test_images_and_masks(self, content, tmp_path):
        rows = self.rows(content, tmp_path)
        assert [(row.image, row.defect_type) for row in rows] == [
            ("n00.png", "good"), ("n01.png", "good"), ("d00.png", "dent"), ("d01.png", "dent"),
        ]  # fmt: skip
        assert [row.drawing is None for row in rows] == [True, True, False, False]
        assert (rows[2].drawing() == left_half()).all()

    def test_several_marks_on_one_image(self, content, tmp_path):
        content["categories"].append({"id": 8, "name": "Scratch"})
        runs = {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * (WIDTH - 1), HEIGHT]}
        content["annotations"].append({"image_id": 2, "category_id": 8, "segmentation": runs, "iscrowd": 1})
        row = self.rows(content, tmp_path)[2]
        expected = left_half()
        expected[:, -1] = True
        assert row.defect_type == "Scratch+dent" and (row.drawing() == expected).all()

    def test_a_box_alone_is_no_mask(self, content, tmp_path):
        content["annotations"].append({"image_id": 2, "category_id": 7, "bbox": [0, 0, 1, 1], "segmentation": []})
        rows = self.rows(content, tmp_path)
        assert (rows[2].defect_type, rows[2].drawing) == ("dent", None) and rows[3].drawing is not None

    def test_a_word_for_normal_marks_nothing(self, content, tmp_path):
        content["categories"].append({"id": 9, "name": "OK"})
        content["annotations"].append({"image_id": 0, "category_id": 9, "segmentation": [[0, 0, 1, 0, 1, 1]]})
        assert self.rows(content, tmp_path)[0].defect_type == "good"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda c: c["images"][1].update(id=0), "images[1], id: 0 was given before, in images[0]"),
            (lambda c: c["images"][1].pop("file_name"), "images[1], file_name: a text belongs here, not nothing"),
            (lambda c: c["images"][3].update(width="12"), "images[3], width: a whole number belongs here, not '12'"),
            (lambda c: c["images"].append(3), "c.json, images: a list of objects"),
            (lambda c: c["annotations"][1].update(image_id=77), "annotations[1], image_id: there is no image 77"),
            (
                lambda c: c["annotations"][1].update(category_id=1),
                "annotations[1], category_id: there is no category 1",
            ),
            (lambda c: c["categories"].clear(), "annotations[0], category_id: there is no category 7"),
        ],
    )
    def test_what_is_wrong_is_named(self, content, tmp_path, change, words):
        change(content)
        with pytest.raises(DatasetError) as caught:
            self.rows(content, tmp_path)
        assert words in str(caught.value) and "c.json" in str(caught.value)

    @pytest.mark.parametrize(
        ("segmentation", "words"),
        [
            ([[0, 0, 1, 1, 2]], "pairs of numbers, not 5"),
            ([[0, 0, 1, 1]], "three corners"),
            ([["a"] * 6], "a list of numbers"),
            ("text", "polygons or runs"),
            ({"size": [1, 1], "counts": [1]}, f"its size is [1, 1], its image's [{HEIGHT}, {WIDTH}]"),
            ({"size": [HEIGHT, WIDTH], "counts": [1]}, "do not fill"),
            ({"size": [HEIGHT, WIDTH], "counts": None}, "'counts' is a text or a list"),
            ({"size": [HEIGHT, WIDTH], "counts": "~"}, "text of runs is damaged"),
        ],
    )
    def test_a_shape_that_is_wrong(self, content, tmp_path, segmentation, words):
        content["annotations"][1]["segmentation"] = segmentation
        rows = self.rows(content, tmp_path)
        assert rows[2].drawing().any()
        with pytest.raises(DatasetError) as caught:
            rows[3].drawing()
        assert "c.json, annotations[1], segmentation: " in str(caught.value) and words in str(caught.value)


class TestLabelStudio:
    @pytest.fixture
    def photos(self, tmp_path):
        for name in ("a.png", "line 3/b.png", "c.png"):
            write_image(tmp_path / "photos" / name)
        return tmp_path / "photos"

    def read(self, photos, *tasks):
        assert is_label_studio(list(tasks))
        return label_studio_table(list(tasks), photos.parent / "s.json", Inside(photos))

    def row(self, photos, *regions, image="a.png"):
        return self.read(photos, studio_task(image, *regions)).rows[0]

    def test_polygons(self, photos):
        row = self.row(photos, studio_polygon(HALF))
        assert (row.image, row.defect_type) == ("a.png", "dent") and (row.drawing() == left_half()).all()
        row = self.row(photos, studio_polygon(HALF), studio_polygon([[75, 0], [100, 0], [100, 100]], "scratch"))
        assert row.defect_type == "dent+scratch" and row.drawing().sum() > left_half().sum()

    def test_a_brush(self, photos):
        # One run of all values: 7 is their bits less one, 9 that of the one length that is used.
        fields = [(4 * WIDTH * HEIGHT, 32), (7, 5), (9, 4), (0, 4), (0, 4), (0, 4)]
        fields += [(1, 1), (0, 2), (4 * WIDTH * HEIGHT - 1, 10), (255, 8)]
        text = "".join(f"{number:0{width}b}" for number, width in fields)
        packed = [int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8)]
        region = {
            "type": "brushlabels", "original_width": WIDTH, "original_height": HEIGHT,
            "value": {"format": "rle", "rle": packed, "brushlabels": ["stain"]},
        }  # fmt: skip
        row = self.row(photos, region)
        assert row.defect_type == "stain" and row.drawing().all()
        region["value"]["rle"] = packed[:-2]
        with pytest.raises(DatasetError, match=r"s\.json, \[0\], result\[0\], value: the runs end too early"):
            self.row(photos, region).drawing()

    def test_choices_and_nothing_at_all(self, photos):
        def choice(*names):
            return {"type": "choices", "value": {"choices": list(names)}}

        assert self.row(photos).defect_type == "good"
        assert self.row(photos, choice("Good")).defect_type == "good"
        assert self.row(photos, choice("NG")).defect_type == "defect"
        assert self.row(photos, choice("NG")).drawing is None
        assert self.row(photos, choice("dent"), studio_polygon(HALF)).drawing is not None
        with pytest.raises(
            DatasetError, match=r"s\.json, \[0\], result: it says that the image is normal, and .* dent"
        ):
            self.row(photos, choice("ok"), studio_polygon(HALF))

    def test_a_box_leaves_the_image_without_a_mask(self, photos):
        box = {
            "type": "rectanglelabels",
            "value": {"x": 0, "y": 0, "width": 1, "height": 1, "rectanglelabels": ["dent"]},
        }
        row = self.row(photos, studio_polygon(HALF), box)
        assert (row.defect_type, row.drawing) == ("dent", None)

    @pytest.mark.parametrize(
        "said",
        [
            "line 3/b.png",
            "/data/local-files/?d=photos/line%203/b.png",
            "/data/upload/4/line%203/b.png",
            "s3://bucket/photos/line 3/b.png",
            "https://files.example/photos/line%203/b.png?version=2",
        ],
    )
    def test_where_the_image_lies(self, photos, said):
        assert self.row(photos, image=said).image == "line 3/b.png"

    @pytest.mark.parametrize("said", ["http://[bad/z.png", "data:image/png;base64," + "AbCd/" * 200_000 + "a.png"])
    def test_what_is_no_address_is_named_at_once(self, photos, said):
        """An image that is written out in its task has a slash in every 64 letters."""
        with pytest.raises(DatasetError, match=r"\[0\], data, image: .* leads to no image"):
            self.row(photos, image=said)

    def test_an_uploads_name(self, photos):
        assert self.row(photos, image="/data/upload/7/0a1b2c3d-a.png").image == "a.png"
        with pytest.raises(
            DatasetError, match=r"\[0\], data, image: '/data/upload/7/0a1b2c3d-z.png' leads to no image"
        ):
            self.row(photos, image="/data/upload/7/0a1b2c3d-z.png")

    def test_nothing_outside_the_folder_is_found(self, photos):
        write_image(photos.parent / "secret.png")
        for said in ("../secret.png", str(photos.parent / "secret.png"), "/data/local-files/?d=../secret.png"):
            with pytest.raises(DatasetError, match="leads to no image"):
                self.row(photos, image=said)

    def test_which_annotation_counts(self, photos):
        task = studio_task("a.png", studio_polygon(HALF))
        twice = copy.deepcopy(task)
        twice["annotations"].append({"result": []})
        with pytest.raises(DatasetError, match=r"\[0\], annotations: 2 annotations"):
            self.read(photos, twice)
        twice["annotations"][1]["was_cancelled"] = True
        assert self.read(photos, twice).rows[0].defect_type == "dent"
        twice["annotations"][1].update(was_cancelled=False, ground_truth=True)
        assert self.read(photos, twice).rows[0].defect_type == "good"
        table = self.read(photos, task, {"data": {"image": "c.png"}, "annotations": []})
        assert len(table.rows) == 1 and table.notes == ("1 tasks without an annotation are left out",)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"value": None}, "result[0], value: an object"),
            ({"original_width": None}, "result[0], original_width: a whole number"),
            ({"value": {"points": [[1, 2, 3]], "polygonlabels": ["x"]}}, "result[0], points: a corner has two numbers"),
            ({"value": {"points": [[1, 2]], "polygonlabels": ["x"]}}, "result[0], value: a polygon has three corners"),
            ({"value": {"points": [[1, 10**400]], "polygonlabels": ["x"]}}, "result[0], points: a number is too large"),
            ({"value": {"points": HALF, "polygonlabels": "x"}}, "result[0], polygonlabels: a list of texts"),
        ],
    )
    def test_what_is_wrong_is_named(self, photos, change, words):
        with pytest.raises(DatasetError) as caught:
            self.row(photos, {**studio_polygon(HALF), **change}).drawing()
        assert f"s.json, [0], {words}" in str(caught.value)

    def test_sizes_that_differ(self, photos):
        row = self.row(photos, studio_polygon(HALF), studio_polygon(HALF, size=(3, 3)))
        with pytest.raises(DatasetError, match=r"result\[1\], original_height: 3x3 pixels, where 12x8 came before"):
            row.drawing()
