"""What stands beside the models: entries, configurations and spaces, all there without anomalib."""

import importlib
from importlib.metadata import EntryPoint

import pytest
from helpers.trials import in_new_process

import kdzoo_anomalib
from kdzoo.errors import ConfigError
from kdzoo.methods.config import TrainedConfig
from kdzoo.methods.registry import METHODS, MethodEntry
from kdzoo.search.space.space import SpaceFile
from kdzoo_anomalib.patchcore.config import PatchCoreConfig

ENTRIES = [each for each in vars(kdzoo_anomalib).values() if isinstance(each, MethodEntry)]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """As their entry points do it, where kdzoo was installed without them, too."""
    for entry in ENTRIES:
        monkeypatch.setitem(METHODS, entry.name, entry)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_published_values_are_valid_and_documented(entry):
    config = entry.config()
    assert entry.config.from_mapping({key: str(value) for key, value in config.as_dict().items()}) == config
    assert all(field.metadata["help"] for field in entry.config.__dataclass_fields__.values())
    assert config.total_epochs() >= 1


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
@pytest.mark.parametrize("dataset", ["demo", "elpv", "own-parts", "mvtec"])
def test_its_space_is_valid_and_three_to_five_knobs_are_searched(entry, dataset):
    space = SpaceFile(entry.name, full=False).space(dataset, "weave")
    assert 3 <= len(space.dimensions) <= 5
    assert space.start().keys() == space.dimensions.keys()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_it_says_how_to_get_what_it_needs(entry):
    assert (entry.needs, entry.install) == (("anomalib",), "kdzoo[anomalib]")
    file = importlib.import_module(entry.model.partition(":")[0].rpartition(".")[0]).__file__
    assert file is not None and entry.space_file.is_file()


def test_listing_them_loads_nothing_heavy():
    script = (
        "import json, sys\nimport kdzoo_anomalib\n"
        "heavy = [name for name in ('torch', 'timm', 'anomalib', 'lightning') if name in sys.modules]\n"
        "print(json.dumps(heavy))"
    )
    assert in_new_process(script) == []


def test_the_wheel_announces_all_of_them(request):
    text = (request.config.rootpath / "pyproject.toml").read_text()
    for entry in ENTRIES:
        assert f'\n{entry.name} = "kdzoo_anomalib:{entry.name.upper()}"\n' in text
        point = EntryPoint(entry.name, f"kdzoo_anomalib:{entry.name.upper()}", "kdzoo.methods")
        assert point.load() is entry


def test_a_patch_has_a_middle():
    with pytest.raises(ConfigError, match="neighbourhood: 4 is even") as caught:
        PatchCoreConfig(neighbourhood=4)
    assert caught.value.hint == "3 or 5"


def test_a_memory_has_no_knobs_of_steps():
    assert not issubclass(PatchCoreConfig, TrainedConfig)
    assert PatchCoreConfig(levels="1+2+3").chosen_levels == (0, 1, 2)
