"""What a sweep's plan is made of: name, categories, notes."""

import pytest
from helpers.command import run
from helpers.layouts import make_dataset, write_image
from helpers.public_layouts import make_mvtec3d

from kdzoo.cli.options import run_options
from kdzoo.cli.sweep.planning import check_name, gpus_of, plan_of
from kdzoo.cli.sweep.run import run as sweep_run
from kdzoo.cli.sweep.spaces import spaces_of
from kdzoo.cli.train import _spec
from kdzoo.data.catalog import open_dataset
from kdzoo.errors import KdzooError, UsageError
from kdzoo.settings import Settings
from kdzoo.training.spec import RunOptions


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", "-x", "x" * 101])
def test_odd_sweep_names(name):
    with pytest.raises(UsageError):
        check_name(name)


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


def test_every_option_of_a_run_reaches_the_plan(tmp_path):
    """What a command takes and then forgets is worse than what it refuses."""
    asked = {
        "teacher": "random-resnet18", "image_size": 96, "protocol": "test", "objective": "image_ap", "split_seed": 3,
        "seed": 4, "skip_unreadable": True, "ema": 0.5, "foreground": "light", "intensity": "0,1023",
        "calibration_folds": 3, "resize": "tile", "overlap": 16, "scale": 0.5, "precision": "bfloat16",
        "synthesis": "perlin", "augment": "hflip,contrast=0.25",
    }  # fmt: skip
    write_image(tmp_path / "photos" / "cork" / "1.png")
    region = tmp_path / "roi.json"
    region.write_text('{"polygons":[[[0.0,0.0],[0.5,0.0],[0.5,1.0]]]}')
    options = {parameter.name for parameter in run_options(lambda: None).__click_params__}
    assert options & set(RunOptions.__dataclass_fields__) == {*asked, "roi", "false_positive_rate", "textures"}
    words = ["aand", "--dataset", str(make_dataset(tmp_path / "parts")), "--roi", str(region)]
    words += ["--false-alarms", "5%", "--textures", str(tmp_path / "photos")]
    for key, value in asked.items():
        words += [f"--{key.replace('_', '-')}", *([] if value is True else [str(value)])]
    given = sweep_run.make_context("run", words).params
    plan = plan_of(given.pop("method"), given, Settings.from_environment())
    assert {key: getattr(plan.options, key) for key in asked} == asked
    assert (plan.options.roi, plan.options.false_positive_rate) == (region.read_text(), 0.05)
    assert plan.options.textures == f"folder:{tmp_path / 'photos'}"


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["rd", "--synthesis", "nsa"], "'rd' learns from no planted anomalies", "leave --synthesis out"),
        (["aand", "--synthesis", "perlim"], "unknown synthesis 'perlim'; did you mean 'perlin'?", None),
        (["mrkd", "--textures", "."], "'nsa', which 'mrkd' would learn from, fills none", "add --synthesis perlin"),
        (["aand", "--synthesis", "nsa", "--textures", "."], "'nsa', which 'aand' would learn from, fills none", None),
        (["mrkd", "--set", "anomaly_probability=0", "--synthesis", "nsa"], "'mrkd' learns from no planted", None),
        (["aand", "--textures", "nowhere"], "no textures in nowhere: there is no such folder", "dtd"),
        (["aand", "--textures", "empty"], "no textures in", "photographs"),
    ],
)
def test_what_says_nothing_of_planted_anomalies_is_refused_before_anything_is_made(
    tmp_path, monkeypatch, words, said, hint
):
    write_image(tmp_path / "photo.png")
    (tmp_path / "empty").mkdir()
    parts = make_dataset(tmp_path / "parts")
    monkeypatch.chdir(tmp_path)
    given = sweep_run.make_context("run", [*words, "--dataset", str(parts)]).params
    with pytest.raises(KdzooError) as caught:
        plan_of(given.pop("method"), given, Settings.from_environment())
    assert said in str(caught.value)
    assert hint is None or hint in str(caught.value.hint)


def test_tiles_reach_the_plan(tmp_path):
    words = ["rd", "--dataset", str(make_dataset(tmp_path / "parts")), "--tile", "128", "--teacher", "random-resnet18"]
    given = sweep_run.make_context("run", words).params
    options = plan_of(given.pop("method"), given, Settings.from_environment()).options
    assert (options.image_size, options.resize, options.overlap, options.scale) == (128, "tile", 32, 1.0)


@pytest.mark.parametrize(
    ("device", "gpus", "held"),
    [
        (None, None, None),
        (None, 0.25, 0.25),
        ("cpu", None, 0.0),
        ("cpu", 0.0, 0.0),
        ("cuda", None, 1.0),
        ("cuda", 0.5, 0.5),
    ],
)
def test_the_device_says_what_gpus_a_trial_holds(device, gpus, held, tmp_path):
    assert gpus_of(device, gpus) == held
    words = ["rd", "--dataset", str(make_dataset(tmp_path / "parts"))]
    words += ["--device", device] if device else []
    words += ["--gpus-per-trial", str(gpus)] if gpus is not None else []
    given = sweep_run.make_context("run", words).params
    assert plan_of(given.pop("method"), given, Settings.from_environment()).gpus_per_trial == held


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 1.0), ("cuda", 0.0)])
def test_a_device_that_the_gpus_contradict_is_refused(device, gpus):
    with pytest.raises(UsageError, match=f"--device {device} and --gpus-per-trial {gpus:g} disagree"):
        gpus_of(device, gpus)
