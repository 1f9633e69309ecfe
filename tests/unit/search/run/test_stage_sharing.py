"""For which spaces first stages are kept, and how many."""

import pytest
from helpers.trials import TEACHER, small_config, toy

from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.stage_sharing import MOST_KEPT, kept_stages
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace, SpaceFile
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.spec import RunOptions

RATE = Dimension(kind="float", low=1e-4, high=1e-2, log=True)


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


@pytest.fixture
def kept(tmp_path, teacher):
    def of(space, trials=16):
        plan = SweepPlan(
            name="night",
            method=space.method,
            dataset=toy(tmp_path),
            spaces={"bottle": space, "cable": space},
            options=RunOptions(teacher=TEACHER),
            trials=trials,
            settings=Settings.from_environment({"KDZOO_HOME": str(tmp_path)}),
        )
        found = kept_stages(plan, teacher)
        assert found["bottle"] == found["cable"]
        return found["bottle"]

    return of


@pytest.mark.parametrize(
    ("method", "dimensions", "expected"),
    [
        ("aand", {"distil_learning_rate": RATE}, 1),
        ("adps", {"segment_learning_rate": RATE, "wmb_gain": Dimension(kind="float", low=0, high=4)}, 1),
        ("aand", {"distil_learning_rate": RATE, "amplify_learning_rate": RATE}, 0),
        ("aand", {"distil_learning_rate": RATE, "width": Dimension(kind="categorical", choices=(0.25, 0.5))}, 2),
        ("aand", {"amplify_epochs": Dimension(kind="int", low=2, high=6, step=2)}, 3),
        ("aand", {"focal_gamma": Dimension(kind="float", low=0.0, high=1.0, step=0.5)}, 3),
        ("aand", {"prototypes": Dimension(kind="int", low=10, high=200, log=True)}, MOST_KEPT),
        ("rd", {"learning_rate": RATE}, 0),
    ],
)
def test_as_many_as_there_may_be_up_to_a_few(kept, method, dimensions, expected):
    space = SearchSpace(method=method, defaults=small_config(method), dimensions=dimensions)
    assert kept(space) == expected
    assert kept(space, trials=1) == 0


def test_a_single_stage_of_two_has_none_to_share(kept):
    defaults = small_config("aand").replace(amplify_epochs=0)
    assert kept(SearchSpace(method="aand", defaults=defaults, dimensions={"distil_learning_rate": RATE})) == 0


@pytest.mark.parametrize("method", ["aand", "adps"])
def test_the_spaces_that_come_with_kdzoo_search_the_first_stage(kept, method):
    """What the docs say of them."""
    assert kept(SpaceFile(method).space("demo", "weave")) == 0
