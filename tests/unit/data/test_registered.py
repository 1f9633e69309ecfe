import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.layouts import make_category, make_dataset
from helpers.public_layouts import make_ksdd2, make_mvtec3d, make_visa

from kdzoo.data.catalog import CATALOG, open_dataset
from kdzoo.data.registered import register, registered, unregister
from kdzoo.errors import DatasetError, DatasetNotFoundError, StorageError, UnknownNameError, UsageError
from kdzoo.settings import Settings
from zoo_registry.errors import NameInvalidError


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})


class TestTheFile:
    def test_names_come_and_go(self, tmp_path, settings):
        assert registered(settings) == {}
        assert register("lids", tmp_path / "a", settings) is None
        assert register("bolts", tmp_path / "Schräube \n", settings) is None
        assert register("lids", tmp_path / "b", settings) == tmp_path / "a"
        assert registered(settings) == {"bolts": tmp_path / "Schräube \n", "lids": tmp_path / "b"}
        assert json.loads(settings.registered_datasets.read_text()) == {
            "schema": "kdzoo-datasets/1",
            "datasets": {"bolts": str(tmp_path / "Schräube \n"), "lids": str(tmp_path / "b")},
        }
        assert unregister("lids", settings) == tmp_path / "b"
        assert list(registered(settings)) == ["bolts"]
        with pytest.raises(UnknownNameError, match="did you mean 'bolts'"):
            unregister("bolt", settings)
        left = {path.name for path in settings.home.iterdir()}
        assert left == {"datasets.json", ".datasets.json.lock"}

    @pytest.mark.parametrize("name", ["", "My Lids", "../x", "a/b", ".x", "con", "x" * 65, "lids."])
    def test_names_that_cannot_be_published_under(self, tmp_path, settings, name):
        with pytest.raises(NameInvalidError):
            register(name, tmp_path, settings)
        assert not settings.registered_datasets.exists()

    def test_folders_that_cannot_be_kept(self, tmp_path, settings):
        with pytest.raises(UsageError, match="not an absolute path"):
            register("lids", Path("lids"), settings)
        with pytest.raises(UsageError, match="not valid UTF-8"):
            register("lids", tmp_path / "\udcff", settings)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "{}",
            '{"schema": "kdzoo-datasets/2", "datasets": {}}',
            '{"schema": "kdzoo-datasets/1"}',
            '{"schema": "kdzoo-datasets/1", "datasets": []}',
            '{"schema": "kdzoo-datasets/1", "datasets": {}, "more": 1}',
            '{"schema": "kdzoo-datasets/1", "datasets": {"lids": 3}}',
            '{"schema": "kdzoo-datasets/1", "datasets": {"lids": "lids"}}',
            '{"schema": "kdzoo-datasets/1", "datasets": {"lids": "/a\\u0000"}}',
            '{"schema": "kdzoo-datasets/1", "datasets": {"../lids": "/a"}}',
            '{"schema": "kdzoo-datasets/1", "datasets": {"lids": "/a", "lids": "/b"}}',
            '{"schema": "kdzoo-datasets/1", "datasets": ' + "[" * 100000,
        ],
    )
    def test_a_damaged_file_is_named_and_kept(self, tmp_path, settings, text):
        settings.home.mkdir()
        settings.registered_datasets.write_text(text)
        for action in (
            lambda: registered(settings),
            lambda: register("lids", tmp_path, settings),
            lambda: open_dataset("mvtec", settings),
        ):
            with pytest.raises(DatasetError, match=r"datasets\.json") as caught:
                action()
            assert "kdzoo data add" in caught.value.hint
        assert settings.registered_datasets.read_text() == text

    def test_a_home_that_cannot_be_written(self, tmp_path, settings):
        settings.home.write_text("a file")
        with pytest.raises(StorageError, match=r"datasets\.json"):
            register("lids", tmp_path, settings)

    def test_many_at_once_lose_nothing(self, tmp_path, settings):
        script = (
            "import sys\nfrom pathlib import Path\nfrom kdzoo.data.registered import register\n"
            "from kdzoo.settings import Settings\nsettings = Settings.from_environment({'KDZOO_HOME': sys.argv[1]})\n"
            "for number in range(10):\n    register(f'{sys.argv[2]}{number}', Path('/x'), settings)\n"
        )
        started = [subprocess.Popen([sys.executable, "-c", script, settings.home, who]) for who in "abc"]
        assert [process.wait(60) for process in started] == [0, 0, 0]
        assert len(registered(settings)) == 30


class TestOpening:
    def test_by_its_name(self, tmp_path, settings, monkeypatch):
        root = make_dataset(tmp_path / "v7", ("Left Door", "nut"))
        register("doors", root, settings)
        # A folder of that name in the working folder does not come before what was registered.
        make_dataset(tmp_path / "here" / "doors", ("other",))
        monkeypatch.chdir(tmp_path / "here")
        dataset = open_dataset("doors", settings)
        assert (dataset.name, dataset.root, dataset.info.title) == ("doors", root, "v7")
        assert dataset.categories() == ("left-door", "nut")
        assert dataset.info.default_protocol == "holdout" and dataset.notes == ()
        with pytest.raises(UsageError, match="would be called 'doors', which is the name of") as caught:
            open_dataset("./doors", settings)
        assert "kdzoo data add NAME" in caught.value.hint

    def test_its_own_folder_may_be_given_by_path_too(self, tmp_path, settings):
        root = make_dataset(tmp_path / "doors")
        register("doors", root, settings)
        assert open_dataset(str(root), settings) == open_dataset("doors", settings)

    def test_a_single_category_is_called_as_the_data_set(self, tmp_path, settings):
        register("lid", make_category(tmp_path / "photos"), settings)
        assert open_dataset("lid", settings).category("lid").name == "lid/lid"

    def test_a_folder_that_moved(self, tmp_path, settings):
        register("doors", tmp_path / "gone", settings)
        with pytest.raises(DatasetNotFoundError, match="gone, which is not there") as caught:
            open_dataset("doors", settings)
        for words in ("kdzoo data add doors PATH", "kdzoo data add doors --remove"):
            assert words in caught.value.hint

    def test_an_unknown_name_lists_the_registered_ones(self, tmp_path, settings):
        register("doors", tmp_path, settings)
        with pytest.raises(UnknownNameError, match="did you mean 'doors'") as caught:
            open_dataset("dors", settings)
        assert "visa" in caught.value.hint

    @pytest.mark.parametrize(("name", "make"), [("visa", make_visa), ("mvtec3d", make_mvtec3d), ("ksdd2", make_ksdd2)])
    def test_a_known_data_set_elsewhere(self, tmp_path, settings, name, make):
        root = make(tmp_path / "unpacked")
        with pytest.raises(DatasetError, match=f"is laid out like {CATALOG[name].title}") as caught:
            open_dataset(str(root), settings)
        assert f"kdzoo data add {name} {root}" in caught.value.hint
        register(name, root, settings)
        dataset = open_dataset(name, settings)
        assert (dataset.info, dataset.root) == (CATALOG[name], root)
        assert set(dataset.categories()) <= set(dataset.info.categories)

    @pytest.mark.parametrize("name", ["mvtec", "visa", "mvtec3d", "ksdd2"])
    def test_a_known_data_set_that_is_not_there(self, settings, name):
        with pytest.raises(DatasetNotFoundError) as caught:
            open_dataset(name, settings)
        for words in (f"kdzoo data download {name}", f"kdzoo data add {name} PATH", CATALOG[name].homepage):
            assert words in caught.value.hint

    def test_one_folder_too_deep(self, settings):
        make_visa(settings.data / "visa" / "VisA_20220922")
        with pytest.raises(DatasetNotFoundError, match="VisA_20220922 holds them"):
            open_dataset("visa", settings)


def test_categories_by_their_folders_own_names(tmp_path, settings):
    dataset = open_dataset(str(make_dataset(tmp_path / "parts", ("Metal Nut", "Ärmel", "lid"))), settings)
    for text, name in (
        ("Metal Nut", "metal-nut"),
        ("metal-nut", "metal-nut"),
        ("A\u0308rmel", "armel"),
        ("lid", "lid"),
    ):
        assert dataset.category_name(text) == name
        assert dataset.category(text).name == f"parts/{name}"
    with pytest.raises(UnknownNameError, match="did you mean 'metal-nut'"):
        dataset.category_name("metal nut")


def test_a_fallback_of_the_default_protocol_is_told(tmp_path, settings):
    root = make_dataset(tmp_path / "parts", ("nut",))
    for number in range(7):
        make_category(root / f"bolt{number}", good=1)
    dataset = open_dataset(str(root), settings)
    assert dataset.info.default_protocol == "synthetic"
    (note,) = dataset.notes
    assert note.endswith("which are not in bolt0, bolt1, bolt2, bolt3, bolt4 and 2 more")


def test_a_table_is_that_of_the_home_of_now(tmp_path, settings):
    """What a table became lies in the home, which may be moved or copied."""
    old, ours = tmp_path / "old/tables/lids-0a1b", settings.tables / "lids-0a1b"
    register("lids", old, settings)
    assert registered(settings) == {"lids": old}
    ours.mkdir(parents=True)
    assert registered(settings) == {"lids": ours}
    old.mkdir(parents=True)
    assert registered(settings) == {"lids": ours}, "a copy does not lean on the original"
    register("parts", tmp_path / "parts", settings)
    assert registered(settings)["parts"] == tmp_path / "parts"
