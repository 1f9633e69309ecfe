"""What the readers of public layouts make of true layouts and of damaged ones."""

import hashlib
import os
import shutil

import pytest
from helpers.layouts import write_image, write_mask
from helpers.public_layouts import (
    VISA_HEADING,
    black_mask,
    make_elpv,
    make_ksdd2,
    make_mvtec3d,
    make_visa,
    one_pixel_mask,
)

from kdzoo.data.layouts import elpv as elpv_layout
from kdzoo.data.layouts import ksdd2 as ksdd2_layout
from kdzoo.data.layouts import mvtec3d as mvtec3d_layout
from kdzoo.data.layouts import visa as visa_layout
from kdzoo.errors import DatasetError, DatasetNotFoundError, ImageError


def facts(index):
    return [(sample.id, sample.split, sample.defect_type, sample.mask_path) for sample in index.samples]


class TestVisa:
    @pytest.fixture
    def root(self, tmp_path):
        return make_visa(tmp_path / "visa", train=2, test=1)

    def read(self, root, category="candle"):
        return visa_layout.read_category("visa", category, root / category)

    def rewrite(self, root, *rows, heading=VISA_HEADING, encoding="utf-8"):
        (root / "split_csv/1cls.csv").write_bytes("\n".join([heading, *rows]).encode(encoding))

    def test_the_table_decides(self, root):
        assert list(visa_layout.categories(root)) == ["candle", "pcb1"]
        index = self.read(root)
        assert index.name == "visa/candle" and index.root == root / "candle"
        mask = root / "candle/Data/Masks/Anomaly/000.png"
        assert facts(index) == [
            ("Data/Images/Anomaly/000.JPG", "test", "anomaly", mask),
            ("Data/Images/Normal/0000.JPG", "train", "good", None),
            ("Data/Images/Normal/0001.JPG", "train", "good", None),
            ("Data/Images/Normal/0002.JPG", "test", "good", None),
        ]

    def test_a_suffix_in_another_case_keeps_the_id(self, root):
        before = [sample.id for sample in self.read(root).samples]
        folder = root / "candle/Data/Images/Normal"
        (folder / "0000.JPG").rename(folder / "0000.jpg")
        index = self.read(root)
        assert [sample.id for sample in index.samples] == before
        assert {sample.path.name for sample in index.samples} >= {"0000.jpg", "0001.JPG"}

    def test_a_byte_order_mark_and_empty_lines(self, root):
        self.rewrite(root, "", "candle,train,normal,candle/Data/Images/Normal/0000.JPG,", "", encoding="utf-8-sig")
        assert [sample.id for sample in self.read(root).samples] == ["Data/Images/Normal/0000.JPG"]

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("candle,train,normal,candle/../pcb1/Data/Images/Normal/0000.JPG,", "does not lie in the folder"),
            ("candle,train,normal,/etc/passwd,", "does not lie in the folder"),
            ("candle,train,normal,../candle/Data/x.JPG,", "does not lie in the folder"),
            ("candle,train,normal,candle\\..\\..\\x.JPG,", "does not lie in the folder"),
            ("candle,train,normal,C:/candle/x.JPG,", "does not lie in the folder"),
            ("candle,train,normal,pcb1/Data/Images/Normal/0000.JPG,", "does not lie in the folder"),
            ("candle,train,normal,,", "does not lie in the folder"),
            ("candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/../../x.png", "does not lie in the folder"),
            ("candle,dev,normal,candle/Data/Images/Normal/0000.JPG,", "unknown split 'dev'"),
            ("candle,test,dented,candle/Data/Images/Normal/0000.JPG,", "unknown label 'dented'"),
            ("candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,", "an anomalous image has no mask"),
            ("candle,test,normal,candle/Data/Images/Normal/0000.JPG,candle/m.png", "a normal image has a mask"),
            ("candle,train,anomaly,candle/a.JPG,candle/a.png", "among those to train on"),
            ("candle,train,normal,candle/Data/Images/Normal/0000.JPG", "4 cells where 5 belong"),
            ("candle,test,normal,candle/Data/Images/Normal/0001.JPG,", "named before, in line 2"),
        ],
    )
    def test_bad_rows(self, root, row, words):
        self.rewrite(root, "candle,train,normal,candle/Data/Images/Normal/0001.JPG,", row)
        with pytest.raises(DatasetError, match=r"1cls\.csv, line 3: ") as caught:
            self.read(root)
        assert words in str(caught.value) and "split_csv/1cls.csv" in caught.value.hint

    def test_rows_whose_files_are_missing(self, root):
        (root / "candle/Data/Images/Normal/0001.JPG").unlink()
        (root / "candle/Data/Masks/Anomaly/000.png").unlink()
        with pytest.raises(DatasetError, match=r"2 of the files .* candle/Data/Images/Normal/0001\.JPG .*line 3"):
            self.read(root)
        assert len(self.read(root, "pcb1").samples) == 4

    def test_damaged_tables(self, root):
        self.rewrite(root, heading="object,split,label,image")
        with pytest.raises(DatasetError, match=r"begins with 'object,split,label,image'"):
            self.read(root)
        self.rewrite(root, 'candle,train,normal,"candle/x')
        with pytest.raises(DatasetError, match="is damaged"):
            self.read(root)
        (root / "split_csv/1cls.csv").write_bytes(VISA_HEADING.encode() + b"\ncandle,train,normal,candle/\xff.JPG,\n")
        with pytest.raises(DatasetError, match="is damaged"):
            self.read(root)
        self.rewrite(root)
        with pytest.raises(DatasetError, match="no train rows of 'candle'"):
            self.read(root)
        shutil.rmtree(root / "split_csv")
        with pytest.raises(DatasetNotFoundError, match="which says what trains"):
            self.read(root)

    def test_a_link_in_a_circle_and_a_name_that_is_not_utf8(self, root):
        loop = root / "candle/Data/Images/Normal/loop.JPG"
        loop.symlink_to(loop)
        with pytest.raises(DatasetError, match="a link that leads nowhere"):
            self.read(root)
        loop.unlink()
        (loop.parent / os.fsdecode(b"\xff.JPG")).touch()
        with pytest.raises(DatasetError, match="not valid UTF-8"):
            self.read(root)

    def test_no_such_folders(self, tmp_path):
        with pytest.raises(DatasetNotFoundError, match="nowhere"):
            visa_layout.categories(tmp_path / "nowhere")
        with pytest.raises(DatasetNotFoundError, match="Images"):
            self.read(tmp_path)


class TestMvtec3d:
    def read(self, root):
        return mvtec3d_layout.read_category("mvtec3d", "bagel", root / "bagel")

    def test_colour_images_of_all_parts(self, tmp_path):
        index = self.read(make_mvtec3d(tmp_path))
        counts = [(index.count(split, 0), index.count(split, 1)) for split in ("train", "validation", "test")]
        assert counts == [(4, 0), (2, 0), (3, 4)]
        crack = next(sample for sample in index.samples if sample.defect_type == "crack")
        assert crack.id == "test/crack/rgb/000.png" and crack.path == tmp_path / "bagel" / crack.id
        assert crack.mask_path == tmp_path / "bagel/test/crack/gt/000.png"
        assert {sample.defect_type for sample in index.samples} == {"good", "hole", "crack"}

    def test_without_validation(self, tmp_path):
        shutil.rmtree(make_mvtec3d(tmp_path) / "bagel/validation")
        assert self.read(tmp_path).of_split("validation") == ()

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda bagel: (bagel / "test/hole/gt/001.png").unlink(), "1 of 3 defective images have no mask"),
            (lambda bagel: shutil.rmtree(bagel / "test/crack/rgb"), "there is no "),
            (lambda bagel: write_image(bagel / "train/hole/rgb/0.png"), "holds the folder 'hole'"),
            (lambda bagel: write_image(bagel / "validation/hole/rgb/0.png"), "holds the folder 'hole'"),
            (lambda bagel: [path.unlink() for path in (bagel / "train/good/rgb").iterdir()], "holds no images"),
            (lambda bagel: shutil.rmtree(bagel / "train"), "there is no "),
        ],
    )
    def test_damage(self, tmp_path, damage, words):
        damage(make_mvtec3d(tmp_path) / "bagel")
        with pytest.raises(DatasetError, match=words):
            self.read(tmp_path)


class TestKsdd2:
    def read(self, root):
        return ksdd2_layout.read_category("ksdd2", "surface", root)

    def test_masks_say_what_is_defective_and_copies_are_left_out(self, tmp_path):
        index = self.read(make_ksdd2(tmp_path, train=2, train_defects=1, test=1, test_defects=1))
        assert facts(index) == [
            ("test/20000.png", "test", "good", None),
            ("test/20001.png", "test", "defect", tmp_path / "test/20001_GT.png"),
            ("train/10000.png", "train", "good", None),
            ("train/10001.png", "train", "good", None),
            ("train/10002.png", "validation", "defect", tmp_path / "train/10002_GT.png"),
        ]
        assert ksdd2_layout.categories(tmp_path) == {"surface": tmp_path}

    @pytest.mark.parametrize(
        ("damage", "words", "kind"),
        [
            (lambda root: (root / "train/10003_GT.png").unlink(), r"have no mask, first .*10003\.png", DatasetError),
            (lambda root: black_mask(root / "test/1_GT.png"), r"have no image, first .*1_GT\.png", DatasetError),
            (lambda root: (root / "test/20000_GT.png").write_bytes(b"\x89PNG"), r"20000_GT\.png", ImageError),
            (lambda root: (root / "test/20000_GT.png").write_bytes(b""), r"20000_GT\.png is empty", ImageError),
            (lambda root: shutil.rmtree(root / "train"), "there are no masks", DatasetNotFoundError),
        ],
    )
    def test_damage(self, tmp_path, damage, words, kind):
        damage(make_ksdd2(tmp_path))
        with pytest.raises(kind, match=words):
            self.read(tmp_path)

    def test_nothing_normal_to_train_on(self, tmp_path):
        write_image(tmp_path / "train/1.png")
        one_pixel_mask(tmp_path / "train/1_GT.png")
        with pytest.raises(DatasetError, match="holds no normal images"):
            self.read(tmp_path)

    def test_other_folders_are_not_it(self, tmp_path):
        write_image(tmp_path / "train/good/1.png")
        write_mask(tmp_path / "ground_truth/dent/1_mask.png")
        assert ksdd2_layout.categories(tmp_path) == {}


class TestElpv:
    @pytest.fixture
    def root(self, tmp_path):
        return make_elpv(tmp_path / "elpv")

    def read(self, root, category="mono"):
        return elpv_layout.read_category("elpv", category, root)

    def rewrite(self, root, *lines):
        (root / "labels.csv").write_text("\n".join(lines))

    def test_the_table_decides(self, root):
        assert list(elpv_layout.categories(root)) == ["mono", "mono-all", "poly", "poly-all"]
        index = self.read(root)
        assert index.name == "elpv/mono" and index.root == root
        # The kinds take turns, the probabilities come in order: cells 1, 3 ... 19 are mono of probability 0.
        assert {sample.id for sample in index.samples if not sample.label} == {
            f"images/cell{number:04}.png" for number in range(1, 20, 2)
        }
        assert (index.count("train"), index.count("test", 0), index.count("test", 1)) == (8, 2, 4)
        assert {sample.defect_type for sample in index.samples} == {"good", "defective"}
        assert all(sample.mask_path is None for sample in index.samples)

    @pytest.mark.parametrize("kind", ["mono", "poly"])
    def test_what_is_unsure_takes_part_only_where_it_is_asked_for(self, root, kind):
        sure, everything = self.read(root, kind), self.read(root, f"{kind}-all")
        added = set(facts(everything)) - set(facts(sure))
        assert set(facts(sure)) < set(facts(everything))
        assert sorted((split, defect) for _, split, defect, _ in added) == [
            ("test", "unsure-33"),
            ("test", "unsure-33"),
            ("test", "unsure-67"),
        ]

    def test_who_trains_follows_from_the_names_alone(self, root):
        before = facts(self.read(root))
        lines = (root / "labels.csv").read_text().splitlines()
        self.rewrite(root, *reversed(lines), "")
        assert facts(self.read(root)) == before

    def test_cells_of_the_real_table_that_train(self, tmp_path):
        """Another rule would make results of before and after incomparable without a word."""
        names = [f"images/cell{number:04}.png" for number in range(1, 11)]
        order = sorted(names, key=lambda name: hashlib.sha256(f"elpv\0{name}".encode()).hexdigest())
        index = self.read(make_elpv(tmp_path / "one", {"0.0": 10}, kinds=("mono",)))
        assert {sample.id for sample in index.of_split("train")} == set(order[:8])

    @pytest.mark.parametrize(
        ("line", "words"),
        [
            ("images/cell0002.png 1.0", "2 columns where"),
            ("images/cell0002.png 1.0 mono extra", "4 columns where"),
            ("images/cell0002.png 0.5 mono", "probability: '0.5' is unknown"),
            ("images/cell0002.png nan mono", "probability: 'nan' is unknown"),
            ("images/cell0002.png 1.0 thin", "kind: 'thin' is unknown"),
            ("/etc/passwd 1.0 mono", "path: '/etc/passwd' does not lie in 'images'"),
            ("images/../labels.csv 1.0 mono", "does not lie in 'images'"),
            ("images\\cell0002.png 1.0 mono", "does not lie in 'images'"),
            ("images/cell0001.png 1.0 mono", "named before, in line 1"),
        ],
    )
    def test_bad_rows(self, root, line, words):
        self.rewrite(root, "images/cell0001.png 0.0 mono", "", line)
        with pytest.raises(DatasetError, match=r"labels\.csv, line 3") as caught:
            self.read(root)
        assert words in str(caught.value) and "kdzoo data download elpv" in caught.value.hint

    def test_an_image_that_is_missing(self, root):
        (root / "images/cell0003.png").unlink()
        with pytest.raises(DatasetError, match=r"1 of the 17 images .* first images/cell0003\.png"):
            self.read(root)
        assert self.read(root, "poly").samples

    def test_damaged_tables(self, root):
        self.rewrite(root, "images/cell0001.png 1.0 mono")
        with pytest.raises(DatasetError, match="no mono cells of probability 0"):
            self.read(root)
        (root / "labels.csv").write_bytes(b"images/cell0001.png 0.0 m\xffno")
        with pytest.raises(DatasetError, match="is damaged"):
            self.read(root)

    def test_other_folders_are_not_taken_for_it(self, root, tmp_path):
        (tmp_path / "mine" / "images").mkdir(parents=True)
        (tmp_path / "mine" / "labels.csv").write_text("path,label\n")
        assert elpv_layout.categories(tmp_path / "mine") == {}
        with pytest.raises(DatasetNotFoundError, match=r"elpv/mono: there is no labels\.csv beside images"):
            self.read(tmp_path / "mine")
        with pytest.raises(DatasetNotFoundError, match="nowhere"):
            elpv_layout.categories(tmp_path / "nowhere")
