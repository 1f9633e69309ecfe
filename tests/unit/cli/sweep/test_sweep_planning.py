"""What a sweep's plan is made of: name, categories, notes."""

import pytest
from helpers.command import run
from helpers.layouts import make_dataset
from helpers.public_layouts import make_mvtec3d

from kdzoo.cli.sweep.planning import _OPTIONS, check_name
from kdzoo.cli.sweep.spaces import spaces_of
from kdzoo.cli.train import _spec, train
from kdzoo.data.catalog import open_dataset
from kdzoo.errors import UsageError
from kdzoo.settings import Settings
from kdzoo.training.spec import RunOptions


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", "-x", "x" * 101])
def test_odd_sweep_names(name):
    with pytest.raises(UsageError):
        check_name(name)


def test_whatever_decides_how_a_trial_runs_reaches_a_sweep_too():
    """`--ema` did not, and was passed over in silence."""
    knobs = {option.name for option in train.params} & {*RunOptions.__dataclass_fields__, "foreground_masks"}
    assert knobs == set(_OPTIONS)


def test_a_category_by_its_folders_own_name(tmp_path):
    """Both commands that choose categories go on with the name that the zoo can take."""
    root = make_dataset(tmp_path / "parts", ("Metal Nut", "lid"))
    settings = Settings.from_environment()
    opened = open_dataset(str(root), settings)
    assert list(spaces_of("rd", opened, "Metal Nut, lid,metal-nut", None, (), None)) == ["metal-nut", "lid"]
    given = {"image_size": 64, "foreground": None, "foreground_masks": None}
    _, spec = _spec("rd", str(root), "Metal Nut", None, (), given, settings, download=False)
    assert spec.category == "metal-nut"


def test_a_sweep_tells_each_note_once_with_its_categories(capsys, tmp_path):
    make_mvtec3d(tmp_path / "mvtec3d")
    ran = run(capsys, "sweep", "rd", "-d", tmp_path / "mvtec3d", "--teacher", "resnet18@nowhere.safetensors")
    assert ran.status == 2 and "nowhere.safetensors" in ran.err
    note = "validation images select, and all normal test images report (bagel, cable_gland)\n"
    assert ran.err.count(note) == 1
