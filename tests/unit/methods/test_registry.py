"""Methods of other packages: found by entry point, and what is said of those that cannot be."""

import json

import pytest
from helpers.command import run

from kdzoo.errors import ConfigError, MissingDependencyError, UnknownNameError
from kdzoo.methods.registry import METHODS, MethodEntry, build_method, find_method, method_names

GOOD = """
from kdzoo.methods.registry import MethodEntry
from kdzoo.methods.rd.config import RDConfig
METHOD = MethodEntry(name="{name}", title="Another", config=RDConfig, model="{module}:Model")
"""


@pytest.fixture(scope="module")
def announced():
    """Names that packages installed here announce, kdzoo's own among them."""
    return set(method_names()) - set(METHODS)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Puts a package that announces a method on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def package(module, name, text=None, point="METHOD"):
        (tmp_path / f"{module}.py").write_text(text or GOOD.format(name=name, module=module))
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[kdzoo.methods]\n{name} = {module}:{point}\n")

    return package


def test_a_method_of_another_package_is_found_after_kdzoos_own(announced, package):
    package("other_zeta", "zeta")
    package("other_alpha", "alpha")
    assert method_names() == (*METHODS, *sorted({"alpha", "zeta"} | announced))
    assert find_method("zeta").title == "Another"


def test_a_misspelled_one_is_named(package):
    package("other_padim", "padim")
    with pytest.raises(UnknownNameError, match="did you mean 'padim'") as caught:
        find_method("padmi")
    assert "aand" in caught.value.hint


def test_kdzoos_own_names_cannot_be_taken(announced, package):
    package("other_rd", "rd")
    assert find_method("rd") is METHODS["rd"]
    assert method_names() == (*METHODS, *sorted(announced))


@pytest.mark.parametrize(
    ("text", "point", "error", "named"),
    [
        ("import not_there_at_all", "METHOD", MissingDependencyError, "not_there_at_all"),
        ("x = 1", "METHOD", MissingDependencyError, "METHOD"),
        ("METHOD = 'broken'", "METHOD", ConfigError, "no method's entry"),
        (GOOD.format(name="other", module="m"), "METHOD", ConfigError, "no method's entry of that name"),
    ],
)
def test_a_broken_one_is_named_with_its_package_and_stops_no_other(package, text, point, error, named):
    module = f"broken_{len(text)}"
    package(module, "broken", text, point)
    with pytest.raises(error, match=named) as caught:
        find_method("broken")
    assert "'broken'" in caught.value.message and module in caught.value.message
    assert caught.value.hint
    assert find_method("rd") is METHODS["rd"]


def test_two_packages_with_one_name_are_both_named(package):
    package("other_one", "twice")
    package("other_two", "twice")
    with pytest.raises(ConfigError, match="'other_one' and the package 'other_two'"):
        find_method("twice")


def test_where_a_space_lies():
    assert METHODS["rd"].space_file.name == "rd.yaml"
    assert METHODS["rd"].space_file.is_file()
    elsewhere = MethodEntry(name="x", title="", config=METHODS["rd"].config, model="", space="kdzoo.methods:base.py")
    assert elsewhere.space_file.is_file()


NEEDY = GOOD.replace(':Model"', ':Model", needs=("json", "not_there"), install="kdzoo[x]"')


def test_a_method_without_its_packages_is_listed_and_says_how_to_get_them(package, capsys):
    package("other_needy", "needy", NEEDY.format(name="needy", module="other_needy"))
    entry = find_method("needy")
    assert entry.missing == ("not_there",)
    told = "Another (not installed: pip install 'kdzoo[x]')"
    assert ["needy", told] in [line.split(maxsplit=1) for line in run(capsys, "methods").out.splitlines()]
    assert run(capsys, "methods", "needy").out.splitlines()[0] == told
    row = next(row for row in json.loads(run(capsys, "methods", "--json").out) if row["name"] == "needy")
    assert (row["missing"], row["install"]) == (["not_there"], "kdzoo[x]")
    for command in (
        ("train", "needy", "--dataset", "nowhere", "--download"),
        ("sweep", "needy", "--dataset", "nowhere", "--download"),
        ("evaluate", "needy", "nowhere/x"),
    ):
        ran = run(capsys, *command)
        assert ran.status == 1
        said = ran.err
        assert "the method 'needy' needs not_there, which is not installed" in said
        assert "pip install 'kdzoo[x]'" in said
    with pytest.raises(MissingDependencyError, match="needs not_there"):
        build_method("needy", entry.config(), None)


def test_kdzoos_own_methods_need_nothing_more():
    assert not any(entry.missing or entry.needs for entry in METHODS.values())
