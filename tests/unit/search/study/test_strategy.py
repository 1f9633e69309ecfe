"""How a sweep searches: what is refused before anything trains."""

import importlib.util

import pytest

from kdzoo.errors import MissingDependencyError, UnknownNameError, UsageError
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.search.space.condition import Condition
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study import samplers
from kdzoo.search.study.samplers import sampler_notes
from kdzoo.search.study.strategy import Strategy, parse_objectives


@pytest.mark.parametrize(
    ("given", "error", "problem"),
    [
        ({"sampler": "cma"}, UnknownNameError, "cmaes"),
        ({"sampler": "grid"}, UsageError, "ends the study itself"),
        ({"sampler": "bruteforce"}, UsageError, "ends the study itself"),
        ({"sampler": "cmaes", "also": ("parameters",)}, UsageError, "takes one objective"),
        ({"priority": "worst"}, UnknownNameError, "worst-first"),
        ({"also": ("latency",)}, UnknownNameError, "latency_ms"),
    ],
)
def test_what_cannot_be_is_refused(given, error, problem):
    with pytest.raises(error) as caught:
        Strategy(**given)
    assert problem in f"{caught.value} {caught.value.hint}"


def test_a_sampler_whose_package_is_missing_is_refused(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(samplers, "find_spec", lambda name: None if name == "cmaes" else real(name))
    with pytest.raises(MissingDependencyError, match="'cmaes' needs the package 'cmaes'") as caught:
        Strategy(sampler="cmaes")
    assert caught.value.hint == "pip install 'kdzoo[samplers]'"


def test_it_goes_through_json():
    strategy = Strategy(
        sampler="qmc", priority="worst-first", also=("pixel_ap",), warm_start=False, warm_from=("night",)
    )
    assert Strategy.from_dict(strategy.as_dict()) == strategy
    assert strategy.as_dict()["also"] == ["pixel_ap"]


def test_objectives_of_the_command_line():
    assert parse_objectives("aupro") == ("aupro", ())
    assert parse_objectives("aupro, latency_ms,pixel_ap") == ("aupro", ("latency_ms", "pixel_ap"))
    directions = Strategy(also=("latency_ms", "pixel_ap", "parameters", "checkpoint_mb")).directions()
    assert directions == ("maximize", "minimize", "maximize", "minimize", "minimize")


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "empty"), ("aupro,", "empty"), ("aupro,aupro", "twice"), ("latency_ms,aupro", "cannot be the first")],
)
def test_objectives_that_cannot_be(text, problem):
    with pytest.raises(UsageError, match=problem):
        parse_objectives(text)


def test_knobs_that_a_sampler_leaves_to_chance_are_named():
    dimensions = {
        "hkd_weight": Dimension(kind="float", low=0.0, high=2.0, step=0.5),
        "hkd_top_k": Dimension(kind="int", low=1, high=9, when=(Condition(key="hkd_weight", above=0.0),)),
        "width": Dimension(kind="categorical", choices=(0.5, 1.0)),
    }
    spaces = {"bottle": SearchSpace(method="aand", defaults=AANDConfig(), dimensions=dimensions)}
    assert sampler_notes("tpe", spaces) == []
    assert sampler_notes("cmaes", spaces) == ["the sampler 'cmaes' draws these knobs at random: hkd_top_k, width"]
    assert sampler_notes("gp", spaces) == ["the sampler 'gp' draws these knobs at random: hkd_top_k"]


def test_what_earlier_versions_wrote_is_read():
    before = {key: value for key, value in Strategy().as_dict().items() if key not in ("pool", "seeds", "finalists")}
    assert Strategy.from_dict({**before, "warm_from": None}) == Strategy(pool=False)
    assert Strategy.from_dict({**before, "warm_from": "night"}) == Strategy(pool=False, warm_from=("night",))
