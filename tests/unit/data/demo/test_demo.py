import json
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kdzoo.data.demo import DEMO_DEFECTS, DemoCounts, ensure_demo, render_demo
from kdzoo.data.demo.build import MARKER
from kdzoo.errors import DatasetError, KdzooError, StorageError, UnknownNameError, UsageError

FEW = DemoCounts(train=2, test_good=1, per_defect=1)
ONE = DemoCounts(train=1, test_good=0, per_defect=0)
KINDS = [(category, defect) for category, defects in DEMO_DEFECTS.items() for defect in defects]


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    return ensure_demo(tmp_path_factory.mktemp("data") / "demo", counts=FEW)


def bytes_of(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


def test_the_layout_is_mvtecs_and_complete(demo):
    assert len(DEMO_DEFECTS) >= 4
    for category, defects in DEMO_DEFECTS.items():
        assert len(defects) == 4
        names = {str(file.relative_to(demo / category)) for file in (demo / category).rglob("*.png")}
        expected = {"train/good/000.png", "train/good/001.png", "test/good/000.png"}
        for defect in defects:
            expected |= {f"test/{defect}/000.png", f"ground_truth/{defect}/000_mask.png"}
        assert names == expected
    with Image.open(demo / "weave" / "train" / "good" / "000.png") as picture:
        assert (picture.size, picture.mode) == ((144, 144), "RGB")
    with Image.open(demo / "weave" / "ground_truth" / "stain" / "000_mask.png") as mask:
        assert set(np.unique(np.asarray(mask))) == {0, 255}


def test_published_counts():
    counts = DemoCounts()
    assert (counts.train, counts.test_good, counts.per_defect) == (36, 18, 6)


def test_the_published_set_is_a_few_megabytes(demo):
    counts = DemoCounts()
    images = len(DEMO_DEFECTS) * (counts.train + counts.test_good + 4 * counts.per_defect)
    sizes = [file.stat().st_size for file in demo.rglob("*.png") if "ground_truth" not in file.parts]
    assert images == 312
    assert 3e6 < images * np.mean(sizes) < 8e6


def test_most_defects_stand_out_and_some_are_moderate():
    contrasts = []
    for category, defect in KINDS:
        for index in range(2):
            drawn = render_demo(category, "test", defect, index)
            change = np.abs(drawn.image.astype(int) - drawn.sound).max(axis=2)
            contrasts.append(np.percentile(change[drawn.mask], 75))
    assert np.median(contrasts) > 60
    assert min(contrasts) > 12 and np.quantile(contrasts, 0.2) < 70


def test_two_generations_are_the_same_bytes(demo, tmp_path):
    again = ensure_demo(tmp_path / "again", counts=FEW)
    assert bytes_of(again) == bytes_of(demo)


def test_a_whole_set_is_left_alone_and_progress_counts_every_image(tmp_path):
    seen = []
    root = ensure_demo(tmp_path / "demo", lambda done, total: seen.append((done, total)), counts=ONE)
    assert seen == [(number, 4) for number in range(1, 5)]
    before = (root / MARKER).stat().st_mtime_ns
    ensure_demo(root, lambda done, total: seen.append((done, total)), counts=ONE)
    assert len(seen) == 4 and (root / MARKER).stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["missing file", "truncated file", "older generator", "torn marker", "other counts"])
def test_a_set_that_is_not_whole_or_not_current_is_made_again(tmp_path, damage):
    root = ensure_demo(tmp_path / "demo", counts=ONE)
    whole = bytes_of(root)
    victim = root / "milled" / "train" / "good" / "000.png"
    if damage == "missing file":
        victim.unlink()
    elif damage == "truncated file":
        victim.write_bytes(victim.read_bytes()[:100])
    elif damage == "older generator":
        marker = json.loads((root / MARKER).read_text())
        (root / MARKER).write_text(json.dumps({**marker, "generator": marker["generator"] - 1}))
        (root / "leftover.txt").write_text("of the older generator")
    elif damage == "torn marker":
        (root / MARKER).write_text('{"generator": 1, "fil')
    else:
        shutil.rmtree(root)
        ensure_demo(root, counts=DemoCounts(train=0, test_good=1, per_defect=0))
    assert bytes_of(root) != whole
    ensure_demo(root, counts=ONE)
    assert bytes_of(root) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_generation_that_fails_leaves_nothing(tmp_path):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_demo(tmp_path / "demo", stop, counts=ONE)
    assert list(tmp_path.iterdir()) == []


def test_someone_elses_folder_is_never_replaced(tmp_path):
    own = tmp_path / "demo" / "holiday.png"
    own.parent.mkdir()
    own.write_bytes(b"mine")
    with pytest.raises(DatasetError, match="not a demo data set") as caught:
        ensure_demo(tmp_path / "demo", counts=ONE)
    assert caught.value.hint
    assert own.read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError) as caught:
        ensure_demo(tmp_path / "file" / "demo", counts=ONE)
    assert isinstance(caught.value, KdzooError) and caught.value.hint


def _make(root: str, start) -> None:
    start.wait(30)
    ensure_demo(Path(root), counts=ONE)


def test_processes_that_start_at_once_all_end_with_a_whole_set(tmp_path):
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(3)
    workers = [context.Process(target=_make, args=(str(tmp_path / "demo"), start)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert bytes_of(tmp_path / "demo") == bytes_of(ensure_demo(tmp_path / "alone", counts=ONE))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "demo"]


@pytest.mark.parametrize(("category", "defect"), KINDS)
def test_a_defect_changes_its_mask_and_nothing_else(category, defect):
    areas = []
    for index in range(2):
        flawed = render_demo(category, "test", defect, index)
        changed = (flawed.image != flawed.sound).any(axis=2)
        assert not changed[~flawed.mask].any()
        assert changed[flawed.mask].mean() > 0.85
        areas.append(flawed.mask.mean())
    assert all(12 / 144**2 <= area < 0.3 for area in areas)
    assert areas[0] != areas[1]


def test_masks_have_no_specks(demo):
    for file in demo.rglob("*_mask.png"):
        regions, count = ndimage.label(np.asarray(Image.open(file)) > 0, structure=np.ones((3, 3)))
        assert (np.bincount(regions.ravel())[1:] >= 4).all() and count >= 1


def test_good_images_differ_from_one_another_and_between_splits():
    for category in DEMO_DEFECTS:
        first = render_demo(category, "train", "good", 0)
        assert not first.mask.any() and (first.image == first.sound).all()
        for other in (render_demo(category, "train", "good", 1), render_demo(category, "test", "good", 0)):
            assert (first.image != other.image).any(axis=2).mean() > 0.5


def test_the_object_has_a_foreground_and_textures_are_all_foreground():
    part = render_demo("milled", "train", "good", 0)
    assert 0.25 < part.foreground.mean() < 0.55
    assert part.foreground[72, 72]  # the bore is inside the outline
    gray = part.image.mean(axis=2)
    assert gray[part.foreground].mean() > gray[~part.foreground].mean() + 60
    for category in ("weave", "print", "granulate"):
        assert render_demo(category, "train", "good", 0).foreground.all()


def test_defects_of_the_object_lie_on_it():
    for defect in DEMO_DEFECTS["milled"]:
        drawn = render_demo("milled", "test", defect, 0)
        # A pixel of the outline may be half metal, half belt.
        assert drawn.foreground[drawn.mask].mean() > 0.95


def test_names_that_do_not_exist():
    with pytest.raises(UnknownNameError, match="did you mean 'milled'"):
        render_demo("miled", "train", "good", 0)
    with pytest.raises(UnknownNameError, match="did you mean 'stain'"):
        render_demo("weave", "test", "stains", 0)
    with pytest.raises(UsageError):
        render_demo("weave", "validation", "good", 0)
    with pytest.raises(UsageError):
        render_demo("weave", "train", "good", -1)


def test_the_package_is_light():
    program = "import sys, kdzoo.data.demo; print({'numpy', 'scipy', 'PIL', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
