"""What `verify_dataset` finds in small data sets of which each has one thing wrong."""

import shutil

import numpy as np
import pytest
from helpers.layouts import make_category, make_dataset, write_image, write_mask
from PIL import Image

from kdzoo.data.catalog import open_dataset
from kdzoo.data.verify import verify_dataset
from kdzoo.errors import UnknownNameError
from kdzoo.settings import Settings


def distinct(root):
    """Paints every image (not the masks) in a colour of its own: images of one name are alike otherwise."""
    images = [path for path in sorted(root.rglob("*.png")) if not {"ground_truth", "gt"} & set(path.parts)]
    for number, path in enumerate(images):
        write_image(path, (number % 256, number // 256, 7))
    return root


@pytest.fixture
def parts(tmp_path):
    return distinct(make_dataset(tmp_path / "parts", ("lid", "cup")))


def opened(root):
    return open_dataset(str(root), Settings.from_environment({"KDZOO_HOME": str(root.parent / "home")}))


def problems(root, category="lid"):
    """``(kind, file)`` of each problem of one category; the other must have none."""
    check = verify_dataset(opened(root))
    found = {each.category: [(problem.kind, problem.file) for problem in each.problems] for each in check.categories}
    assert all(not listed for name, listed in found.items() if name != category)
    assert check.count == len(found[category]) + len(check.problems)
    return found[category]


def test_a_whole_data_set_has_no_problem(parts):
    steps = []
    check = verify_dataset(opened(parts), progress=lambda done, total: steps.append((done, total)))
    assert check.count == 0 and check.root == parts
    assert [each.category for each in check.categories] == ["cup", "lid"]
    for each in check.categories:
        assert each.images == {"train": 4, "validation": 0, "test_normal": 3, "test_defective": 5}
        assert each.masks == 5
        assert each.fingerprint == opened(parts).category(each.category).fingerprint()
    assert steps == [(done, 24) for done in range(1, 25)]


def test_only_the_categories_asked_for_are_read(parts):
    (parts / "cup" / "train" / "good" / "000.png").write_bytes(b"damaged")
    assert verify_dataset(opened(parts), ["lid"]).count == 0
    assert verify_dataset(opened(parts), ["cup"]).count == 1
    with pytest.raises(UnknownNameError, match="did you mean 'lid'"):
        verify_dataset(opened(parts), ["lids"])


@pytest.mark.parametrize("damage", [b"", b"no image at all", "half"])
def test_unreadable_images_are_named(parts, damage):
    path = parts / "lid" / "test" / "stain" / "001.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:200] if damage == "half" else damage)
    assert problems(parts) == [("unreadable", "test/stain/001.png")]


def test_what_is_wrong_with_masks(parts):
    truth = parts / "lid" / "ground_truth"
    (truth / "scratch" / "000_mask.png").write_bytes(b"damaged")
    write_mask(truth / "scratch" / "001_mask.png", size=(8, 12))
    Image.new("L", (12, 8)).save(truth / "scratch" / "002_mask.png")
    write_mask(truth / "stain" / "007_mask.png")
    write_mask(truth / "good" / "000_mask.png")
    Image.new("L", (12, 8)).save(truth / "good" / "001_mask.png")  # empty, as it should be
    assert problems(parts) == [
        ("mask of a normal image", "ground_truth/good/000_mask.png"),
        ("mask without image", "ground_truth/stain/007_mask.png"),
        ("mask", "test/scratch/000.png"),
        ("mask", "test/scratch/001.png"),
        ("empty mask", "test/scratch/002.png"),
    ]


def test_a_defect_of_one_pixel_is_no_empty_mask(parts):
    mask = np.zeros((8, 12), np.uint8)
    mask[7, 11] = 1
    Image.fromarray(mask).save(parts / "lid" / "ground_truth" / "stain" / "000_mask.png")
    assert problems(parts) == []


def test_all_defective_images_without_a_mask_are_named_and_the_rest_is_still_read(parts):
    for name in ("scratch/000_mask.png", "scratch/002_mask.png", "stain/001_mask.png"):
        (parts / "lid" / "ground_truth" / name).unlink()
    (parts / "lid" / "train" / "good" / "003.png").write_bytes(b"damaged")
    found = problems(parts)
    assert [file for kind, file in found if kind == "missing mask"] == [
        "test/scratch/000.png",
        "test/scratch/002.png",
        "test/stain/001.png",
    ]
    assert ("unreadable", "train/good/003.png") in found
    assert sum(kind == "layout" for kind, _ in found) == 1


def test_no_masks_at_all_are_a_note(tmp_path):
    root = distinct(make_category(tmp_path / "parts" / "lid", masks=False).parent)
    check = verify_dataset(opened(root))
    assert check.count == 0
    assert check.categories[0].notes == ("no defective image has a mask: pixel metrics stay undefined",)


def test_a_link_that_leads_nowhere_is_a_problem_of_its_category_alone(tmp_path):
    root = distinct(make_dataset(tmp_path / "mvtec", ("bottle", "cable")))
    (root / "cable" / "test" / "good" / "gone.png").symlink_to(root / "nowhere.png")
    (root / "cable" / "test" / "stain" / "000.png").write_bytes(b"damaged")
    bottle, cable = verify_dataset(opened(root)).categories
    assert bottle.problems == () and cable.fingerprint is None
    assert [(each.kind, each.file) for each in cable.problems] == [
        ("layout", ""),
        ("unreadable", "test/stain/000.png"),
    ]
    assert "gone.png is a link that leads nowhere" in cable.problems[0].text


def test_the_same_image_in_train_and_test_is_a_leak(parts):
    shutil.copy(parts / "lid" / "train" / "good" / "002.png", parts / "lid" / "test" / "good" / "copy.png")
    assert problems(parts) == [("leak", "test/good/copy.png")]
    text = verify_dataset(opened(parts), ["lid"]).categories[0].problems[0].text
    assert text == "the same bytes as train/good/002.png: it is in train and in test"


def test_the_same_image_normal_and_defective_contradicts_itself(parts):
    shutil.copy(parts / "lid" / "test" / "good" / "000.png", parts / "lid" / "test" / "stain" / "000.png")
    assert problems(parts) == [("contradiction", "test/stain/000.png")]


def test_a_leak_of_a_defective_image_is_both(parts):
    shutil.copy(parts / "lid" / "train" / "good" / "000.png", parts / "lid" / "test" / "stain" / "000.png")
    assert problems(parts) == [("contradiction", "test/stain/000.png"), ("leak", "test/stain/000.png")]


def test_doubles_within_a_split_are_a_note(parts):
    shutil.copy(parts / "lid" / "train" / "good" / "000.png", parts / "lid" / "train" / "good" / "again.png")
    check = verify_dataset(opened(parts), ["lid"])
    assert check.count == 0
    (note,) = check.categories[0].notes
    assert "1 images are there twice within one split, first train/good/000.png and train/good/again.png" in note


def test_images_of_one_size_that_differ_are_no_doubles(parts):
    root = parts / "lid" / "train" / "good"
    for number in range(3):
        Image.new("RGB", (12, 8), (number, 0, 0)).save(root / f"bitmap{number}.bmp")
    assert len({path.stat().st_size for path in root.glob("*.bmp")}) == 1
    assert problems(parts) == []


def test_a_name_that_no_terminal_takes_is_shown_escaped(parts):
    (parts / "lid" / "test" / "good" / "line\nbreak.png").write_bytes(b"damaged")
    assert problems(parts) == [("unreadable", "test/good/line\\nbreak.png")]


def test_counts_are_compared_with_the_published_ones(tmp_path):
    root = tmp_path / "mvtec"
    distinct(make_category(root / "bottle"))
    check = verify_dataset(opened(root))
    assert [problem.kind for problem in check.problems] == ["missing category"] * 14
    assert "the category 'cable' is not there" in {problem.text for problem in check.problems}
    for name in opened(root).missing():
        shutil.copytree(root / "bottle", root / name)
    texts = [problem.text for problem in verify_dataset(opened(root)).problems]
    assert texts == [
        "60 train images in all categories, expected 3629",
        "120 test images in all categories, expected 1725",
        "45 test normal images in all categories, expected 467",
        "75 test defective images in all categories, expected 1258",
    ]
    assert verify_dataset(opened(root), ["bottle"]).count == 0


def test_a_mask_that_marks_a_normal_image_of_the_3d_set_is_found(tmp_path):
    root = tmp_path / "mvtec3d" / "bagel"
    for part in ("train/good", "validation/good", "test/good", "test/hole"):
        write_image(root / part / "rgb" / "000.png")
    write_mask(root / "test" / "hole" / "gt" / "000.png")
    write_mask(root / "test" / "good" / "gt" / "000.png")
    distinct(root)
    check = verify_dataset(opened(tmp_path / "mvtec3d"), ["bagel"])
    assert [(each.kind, each.file) for each in check.categories[0].problems] == [
        ("mask of a normal image", "test/good/gt/000.png")
    ]


def test_odd_masks_and_what_is_left_out_are_told_of(parts):
    for number in range(3):
        mask = parts / f"lid/ground_truth/scratch/{number:03}_mask.png"
        with Image.open(mask) as drawn:
            drawn.convert("L").save(mask.with_suffix(".jpg"))
        mask.unlink()
    write_image(parts / "lid/train/good/camera-2/000.png", (9, 9, 9))
    write_image(parts / "spare/train/Gut/000.png", (9, 9, 8))
    check = verify_dataset(opened(parts))
    assert not check.count
    (told,) = check.notes
    assert told.startswith("the folder spare is left out, with 1 image: it is no category")
    said = {each.category: each.notes for each in check.categories}
    assert said["cup"] == ()
    left, jpegs = said["lid"]
    assert left.startswith("1 image in train/good/camera-2 is left out")
    assert jpegs.startswith("3 of 5 masks are JPEGs") and jpegs.endswith("first that of test/scratch/000.png")
    assert verify_dataset(opened(parts), ["cup"]).notes == ()
