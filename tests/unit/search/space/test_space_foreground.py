"""Where the foreground comes from, as a space file says it, and as a sweep's plan hands it to its trials."""

from dataclasses import replace

import pytest
from helpers.layouts import make_dataset

from kdzoo.data.catalog import open_dataset
from kdzoo.errors import ConfigError, SearchSpaceError, UnknownNameError
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.space.space import SpaceFile
from kdzoo.settings import Settings
from kdzoo.training.spec import RunOptions

HEAD = "schema: kdzoo-space/1\nmethod: rd\n"


def space_file(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(HEAD + text)
    return SpaceFile("rd", path)


def test_a_space_without_a_word_of_it(tmp_path):
    assert SpaceFile("rd").space("mvtec", "bottle").foreground is None
    assert space_file(tmp_path, "").space("mvtec", "bottle").foreground is None


def test_the_narrower_override_wins(tmp_path):
    file = space_file(
        tmp_path, "foreground: whole\noverrides:\n  parts: {foreground: light}\n  parts/lid: {foreground: dark}\n"
    )
    found = [file.space(*place).foreground for place in (("toy", "x"), ("parts", "cup"), ("parts", "lid"))]
    assert found == ["whole", "light", "dark"]


def test_a_folder_of_masks_is_beside_the_file(tmp_path):
    file = space_file(tmp_path, "foreground: 'masks:cut/lids'\n")
    assert file.space("parts", "lid").foreground == f"masks:{tmp_path}/cut/lids"


@pytest.mark.parametrize(
    ("text", "line", "named"),
    [
        ("foreground: ligth\n", 3, "did you mean 'light'"),
        ("foreground: 3\n", 3, "unknown foreground rule '3'"),
        ("foreground: 'masks:'\n", 3, "names no folder"),
        ("overrides:\n  parts:\n    foreground: [light]\n", 5, "unknown foreground rule"),
        ("foregroud: light\n", 3, "did you mean 'foreground'"),
    ],
)
def test_a_wrong_rule_names_the_line(tmp_path, text, line, named):
    with pytest.raises(SearchSpaceError, match=f"own.yaml:{line}: .*{named}"):
        space_file(tmp_path, text)


def test_a_plan_gives_each_category_its_own(tmp_path):
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})
    file = space_file(tmp_path, "overrides:\n  parts/lid: {foreground: light}\n")
    plan = SweepPlan(
        name="s",
        method="rd",
        dataset=open_dataset(str(make_dataset(tmp_path / "parts", ("lid", "cup"))), settings),
        spaces={name: file.space("parts", name) for name in ("lid", "cup")},
        options=RunOptions(foreground="dark"),
        trials=1,
        settings=settings,
    )
    assert [plan.spec(name, {}).options.foreground for name in ("lid", "cup")] == ["light", "dark"]
    assert plan.options_of("lid") == replace(plan.options, foreground="light")


def test_options_refuse_what_is_no_rule():
    with pytest.raises(UnknownNameError, match="did you mean 'auto'"):
        RunOptions(foreground="aut")
    with pytest.raises(ConfigError, match="names no folder"):
        RunOptions.from_mapping({"foreground": "masks:"})
