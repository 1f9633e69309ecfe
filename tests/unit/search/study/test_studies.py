"""One Optuna study a category: what is tried first, how trials end, what survives."""

import math

import optuna
import pytest

from kdzoo.errors import StorageError, UsageError
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.search.space.condition import Condition
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.samplers import SAMPLERS
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.study.warm_start import Loan

SPACE = SearchSpace(
    method="aand",
    defaults=AANDConfig(),
    dimensions={
        "margin": Dimension(kind="float", low=0.05, high=1.0),
        "temperature": Dimension(kind="float", low=0.05, high=1.0, log=True),
        "prototypes": Dimension(kind="int", low=10, high=90, step=20),
        "width": Dimension(kind="categorical", choices=(0.5, 1.0)),
    },
)


@pytest.fixture
def studies_of(tmp_path):
    opened = []

    def studies_of(*categories, seed=0, file="studies.db", space=SPACE, loans=(), portfolio=(), **strategy):
        spaces, how = dict.fromkeys(categories, space), Strategy(**strategy)
        lent = {"loans": loans, "portfolio": portfolio}
        opened.append(CategoryStudies(spaces, storage=tmp_path / file, trials=20, seed=seed, strategy=how, **lent))
        return opened[-1]

    yield studies_of
    for studies in opened:
        studies.close()


def stored(tmp_path, category, file="studies.db"):
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / file}")
    try:
        return optuna.load_study(study_name=category, storage=storage)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_the_first_trial_is_the_defaults(studies_of):
    studies = studies_of("bottle", "cable")
    for category in ("bottle", "cable"):
        first = studies.ask(category)
        assert (first.category, first.number) == (category, 0)
        assert first.values == {"margin": 0.3, "temperature": 0.2, "prototypes": 50, "width": 1.0}
        assert SPACE.config(first.values) == AANDConfig()


def test_how_trials_end(studies_of, tmp_path):
    studies = studies_of("bottle")
    for _ in range(6):
        studies.ask("bottle")
    studies.report("bottle", 1, 2, 0.6)
    studies.report("bottle", 1, 2, 0.1)
    studies.report("bottle", 1, 1, 0.2)
    studies.report("bottle", 1, 4, math.nan)
    studies.tell("bottle", 0, objective=0.8, stopped=False)
    studies.tell("bottle", 1, objective=0.7, stopped=True)
    studies.tell("bottle", 2, objective=None, stopped=False, reason="the loss became nan")
    studies.tell("bottle", 3, objective=math.nan, stopped=False)
    studies.tell("bottle", 4, objective=math.inf, stopped=False)
    studies.tell("bottle", 4, objective=0.9, stopped=False)
    study = stored(tmp_path, "bottle")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "FAIL", "FAIL", "FAIL", "RUNNING"]
    assert study.trials[1].intermediate_values == {2: 0.6}
    assert study.trials[2].user_attrs == {"reason": "the loss became nan"}
    assert (study.best_trial.number, study.best_value) == (0, 0.8)


def suggestions(studies, order, objective=lambda values: values["margin"]):
    made = {}
    for category in order:
        asked = studies.ask(category)
        made.setdefault(category, []).append(dict(asked.values))
        studies.tell(category, asked.number, objective=objective(asked.values), stopped=False)
    return made


def test_categories_do_not_depend_on_the_order_they_are_asked_in(studies_of):
    one = suggestions(studies_of("bottle", "cable", file="one.db", warm_start=False), ["bottle", "cable"] * 7)
    order = ["cable"] * 7 + ["bottle"] * 7
    other = suggestions(studies_of("cable", "bottle", file="other.db", warm_start=False), order)
    assert one == other
    assert one["bottle"][1:] != one["cable"][1:]
    seeded = suggestions(studies_of("bottle", seed=1, file="seeded.db"), ["bottle"] * 7)
    assert seeded["bottle"][1:] != one["bottle"][1:]


def test_the_studies_survive_reopening(studies_of):
    first = studies_of("bottle")
    suggestions(first, ["bottle"] * 3)
    first.close()
    again = studies_of("bottle")
    fourth = again.ask("bottle")
    assert fourth.number == 3
    assert fourth.values != SPACE.start()


def test_the_sampler_learns(studies_of):
    made = suggestions(studies_of("bottle"), ["bottle"] * 20)["bottle"]
    early, late = ([values["margin"] for values in made[part]] for part in (slice(1, 6), slice(-5, None)))
    assert sum(late) / 5 > sum(early) / 5


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"studies\.db.*Not a directory|studies\.db.*exists"):
        CategoryStudies({"bottle": SPACE}, storage=tmp_path / "file" / "studies.db", trials=2, seed=0)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "studies.db").write_text("not a database, but long enough to look like one " * 20)
    with pytest.raises(StorageError, match=r"studies\.db.*not a database"):
        CategoryStudies({"bottle": SPACE}, storage=tmp_path / "studies.db", trials=2, seed=0)


def test_nothing_is_said_on_the_terminal(studies_of, capfd, recwarn):
    studies = studies_of("bottle")
    suggestions(studies, ["bottle"] * 4)
    studies.tell("bottle", studies.ask("bottle").number, objective=None, stopped=False, reason="failed")
    assert capfd.readouterr() == ("", "")
    assert [str(warning.message) for warning in recwarn] == []


CONDITIONAL = SearchSpace(
    method="aand",
    defaults=AANDConfig(),
    dimensions={
        "hkd_weight": Dimension(kind="float", low=0.0, high=2.0, step=0.5),
        "hkd_top_k": Dimension(kind="int", low=1, high=256, log=True, when=(Condition(key="hkd_weight", above=0.0),)),
        **SPACE.dimensions,
    },
)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_valid_configurations_of_a_conditional_space(studies_of, sampler, recwarn):
    studies = studies_of("bottle", space=CONDITIONAL, sampler=sampler, warm_start=False)
    made = suggestions(studies, ["bottle"] * 14, lambda values: values["margin"] - values["hkd_weight"])["bottle"]
    for values in made:
        assert ("hkd_top_k" in values) == (values["hkd_weight"] > 0)
        CONDITIONAL.config(values)
    assert len({tuple(values.items()) for values in made}) > 10
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "cmaes"])
def test_every_sampler_but_one_takes_several_objectives(studies_of, sampler, tmp_path):
    studies = studies_of("bottle", sampler=sampler, also=("pixel_ap", "latency_ms"), warm_start=False)
    for number in range(12):
        asked = studies.ask("bottle")
        studies.report("bottle", asked.number, 1, 0.3)
        also = (0.5, 10.0 * asked.values["width"]) if number % 3 else ()
        studies.tell("bottle", asked.number, objective=asked.values["margin"], also=also, stopped=number % 3 == 0)
    asked = studies.ask("bottle")
    studies.tell("bottle", asked.number, objective=0.9, also=(0.5, math.nan), stopped=False)
    study = stored(tmp_path, "bottle")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MAXIMIZE", "MINIMIZE"]
    states = ["PRUNED", "COMPLETE", "COMPLETE"] * 4 + ["FAIL"]
    assert [trial.state.name for trial in study.trials] == states
    assert study.trials[1].values[1:] == [0.5, 10.0 * study.trials[1].params["width"]]


def test_a_sampler_of_one_objective_is_refused_for_several():
    with pytest.raises(UsageError, match="'cmaes' takes one objective, got 2") as caught:
        Strategy(sampler="cmaes", also=("latency_ms",))
    assert "tpe" in caught.value.hint


def test_a_category_borrows_what_was_best_in_another(studies_of):
    studies = studies_of("bottle", "cable")
    first = [studies.ask(category) for category in ("bottle", "cable")]
    for asked in first:
        studies.tell(asked.category, asked.number, objective=0.5, stopped=False)
    found = studies.ask("bottle")
    studies.tell("bottle", found.number, objective=0.8, stopped=False)
    lent = studies.ask("cable")
    assert lent.values == found.values
    assert [studies.borrowed(category) for category in ("bottle", "cable")] == [0, 1]
    assert studies.ask("cable").values != found.values


def test_what_was_borrowed_is_known_after_reopening(studies_of):
    studies = studies_of("bottle", "cable")
    suggestions(studies, ["bottle", "cable", "bottle"], lambda values: abs(values["margin"] - 0.3))
    lent = studies.ask("cable")
    studies.close()
    again = studies_of("bottle", "cable")
    again.interrupt("cable", lent.number)
    again.past("bottle")
    repeated = again.ask("cable")
    assert (repeated.values, repeated.again) == (lent.values, (lent.number,))
    assert again.borrowed("cable") == 1
    assert again.ask("cable").values != lent.values


def test_an_earlier_sweep_lends_before_anything_has_ended(studies_of):
    config = AANDConfig(margin=0.9, prototypes=70, temperature=2.0).as_dict()
    loans = (Loan(category="screw", config=config, trials=8),)
    studies = studies_of("bottle", loans=loans)
    first, second = (studies.ask("bottle").values for _ in range(2))
    assert first == SPACE.start()
    assert second == {"margin": 0.9, "temperature": 1.0, "prototypes": 70, "width": 1.0}
    cold = studies_of("bottle", loans=loans, file="cold.db", warm_start=False)
    cold.ask("bottle")
    assert cold.ask("bottle").values != second


def pooled(studies, categories, rounds):
    """Asks the categories in turn and tells each how far its margin goes; the values, by round."""
    found = []
    for _ in range(rounds):
        asked = [studies.ask(category) for category in categories]
        for one in asked:
            studies.tell(one.category, one.number, objective=one.values["margin"], stopped=False)
        found.append([dict(one.values) for one in asked])
    return found


def test_half_of_the_trials_are_the_same_in_all_categories(studies_of):
    studies = studies_of("bottle", "cable", pool=True, warm_start=False)
    rounds = pooled(studies, ["bottle", "cable"], 14)
    assert [one == other for one, other in rounds] == [True] * 10 + [False] * 4
    best = max(range(10), key=lambda place: rounds[place][0]["margin"])
    assert studies.pooled_best("bottle") == studies.pooled_best("cable") == best


def test_one_category_alone_has_no_pool(studies_of):
    alone, without = studies_of("bottle", pool=True), studies_of("bottle", file="without.db", pool=False)
    assert pooled(alone, ["bottle"], 8) == pooled(without, ["bottle"], 8)
    assert alone.pooled_best("bottle") is None


def test_a_portfolio_is_what_all_categories_try_after_their_defaults(studies_of, tmp_path):
    configs = [AANDConfig(margin=margin).as_dict() for margin in (0.9, 0.5)]
    for pool, names in ((True, ("bottle", "cable")), (False, ("bottle", "cable")), (True, ("bottle",))):
        studies = studies_of(*names, pool=pool, portfolio=configs, file=f"{pool}-{len(names)}.db")
        rounds = pooled(studies, names, 3)
        assert [{one["margin"] for one in each} for each in rounds] == [{0.3}, {0.9}, {0.5}]


def test_a_trial_of_the_pool_that_waits_when_the_driver_dies_keeps_its_entry(studies_of):
    names = ["bottle", "cable"]
    before = studies_of(*names, pool=True, file="killed.db", warm_start=False)
    pooled(before, names, 5)
    before._line_up("bottle", before._study("bottle"))  # killed before it was asked for
    before.close()
    after = studies_of(*names, pool=True, file="killed.db", warm_start=False)
    assert [len(after.past(name)) for name in names] == [5, 5]
    other = after.ask("cable")
    after.tell("cable", other.number, objective=0.1, stopped=False)
    mine = after.ask("bottle")
    assert mine.values == other.values
    after.tell("bottle", mine.number, objective=0.2, stopped=False)
    assert all(one == two for one, two in pooled(after, names, 4))


def test_a_pool_goes_on_after_a_kill_as_if_nothing_had_been(studies_of):
    names = ["bottle", "cable"]
    whole = pooled(studies_of(*names, pool=True, file="whole.db"), names, 12)
    before = studies_of(*names, pool=True, file="killed.db")
    rounds = pooled(before, names, 5)
    killed = before.ask("bottle")
    before.close()
    after = studies_of(*names, pool=True, file="killed.db")
    assert [len(after.past(name)) for name in names] == [6, 5]
    after.interrupt("bottle", killed.number)
    again, other = after.ask("bottle"), after.ask("cable")
    assert again.again == (killed.number,) and again.values == killed.values == other.values
    for one in (again, other):
        after.tell(one.category, one.number, objective=one.values["margin"], stopped=False)
    rounds += [[dict(again.values), dict(other.values)], *pooled(after, names, 4)]
    assert rounds == whole[:10]
    best = max(range(10), key=lambda place: whole[place][0]["margin"])
    assert after.pooled_best("cable") == best
    assert after.pooled_best("bottle") == (best if best < 5 else best + 1)
