"""What an earlier sweep lends, and what it may not."""

import dataclasses

import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan

from kdzoo.data.catalog import open_dataset
from kdzoo.errors import SweepError, UnknownNameError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.lenders import portfolio_of, read_earlier
from kdzoo.search.record.plan_file import DataDigests, PlanFile
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies


@pytest.fixture
def earlier(tmp_path):
    """A sweep over bottle and cable: two finished trials, one stopped early, one under way."""
    make_dataset(tmp_path / "parts")
    return written(small_plan(tmp_path, name="night", trials=3))


def written(plan):
    folder = SweepFolder(plan.folder)
    digests = {
        name: DataDigests(fingerprint=plan.dataset.category(name).fingerprint(), split="s") for name in plan.spaces
    }
    PlanFile(plan=plan, data=digests, run_key="night-1", created=0.0, zoo=plan.settings.zoo).write(folder.plan)
    return plan


def trained(plan):
    studies = CategoryStudies(plan.spaces, storage=SweepFolder(plan.folder).studies, trials=3, seed=0)
    asked = [studies.ask("bottle") for _ in range(3)]
    studies.tell("bottle", 0, objective=0.5, stopped=False)
    studies.tell("bottle", 1, objective=0.7, stopped=False)
    studies.tell("bottle", 2, objective=0.9, stopped=True)
    studies.ask("cable")
    studies.close()
    return plan.spaces["bottle"].config(asked[1].values)


def loans(plan, **changes):
    given = {"method": plan.method, "dataset": plan.dataset, "options": plan.options} | changes
    return read_earlier("night", plan.settings, **given).loans


def test_the_best_fully_trained_configuration_of_each_category(earlier):
    best = trained(earlier)
    (loan,) = loans(earlier)
    assert (loan.category, dict(loan.config), loan.trials) == ("bottle", best.as_dict(), 2)
    after = PlanFile.read(SweepFolder(earlier.folder).plan, earlier.settings)
    assert after.plan == earlier


def test_loans_go_through_the_plan_file(earlier, tmp_path):
    trained(earlier)
    later = dataclasses.replace(earlier, name="day", loans=loans(earlier))
    written(later)
    assert PlanFile.read(SweepFolder(later.folder).plan, later.settings).plan == later


def test_a_portfolio_of_two_sweeps_has_one_for_each_of_their_categories(earlier):
    later = written(dataclasses.replace(earlier, name="day"))
    given = {"method": earlier.method, "dataset": earlier.dataset, "options": earlier.options}
    best, known = [], {}
    for seed, plan in enumerate((earlier, later)):
        storage = SweepFolder(plan.folder).studies
        alone = Strategy(warm_start=False)
        studies = CategoryStudies(plan.spaces, storage=storage, trials=3, seed=seed, strategy=alone)
        for category in ("bottle", "cable"):
            asked = [studies.ask(category) for _ in range(3)]
            for place, (objective, stopped) in enumerate([(0.5, False), (0.7, False), (0.9, True)]):
                studies.tell(category, asked[place].number, objective=objective, stopped=stopped)
            best.append(plan.spaces[category].config(asked[1].values).as_dict())
        studies.close()
        known[plan.name] = read_earlier(plan.name, plan.settings, **given)
    portfolio = portfolio_of(known, earlier.spaces.values())
    assert [dict(config) for config in portfolio] == best
    assert portfolio_of({}, earlier.spaces.values()) == ()
    planned = written(dataclasses.replace(earlier, name="next", portfolio=portfolio))
    assert PlanFile.read(SweepFolder(planned.folder).plan, planned.settings).plan == planned


def test_a_sweep_that_has_nothing_to_lend(earlier):
    with pytest.raises(SweepError, match="nothing to lend"):
        loans(earlier)
    with pytest.raises(UnknownNameError, match="night"):
        read_earlier("nigth", earlier.settings, method="aand", dataset=earlier.dataset, options=earlier.options)


def test_a_sweep_of_another_method(earlier):
    with pytest.raises(SweepError, match="is of method 'aand', not 'rd'"):
        loans(earlier, method="rd")


@pytest.mark.parametrize(
    ("before", "now", "leaks"),
    [
        ({}, {}, False),
        ({}, {"split_seed": 1}, True),
        ({}, {"protocol": "synthetic"}, True),
        ({}, {"protocol": "test"}, False),
        ({"protocol": "test"}, {"protocol": "holdout"}, True),
        ({"protocol": "synthetic"}, {"protocol": "holdout"}, False),
        ({"protocol": "synthetic"}, {"protocol": "synthetic", "split_seed": 3}, False),
    ],
)
@pytest.mark.parametrize("renamed", [False, True])
def test_nothing_that_was_chosen_by_images_of_the_new_report(earlier, tmp_path, before, now, leaks, renamed):
    plan = written(dataclasses.replace(earlier, options=earlier.options.replace(**before)))
    trained(plan)
    dataset = plan.dataset
    if renamed:
        (tmp_path / "parts").rename(tmp_path / "again")
        (tmp_path / "parts").symlink_to(tmp_path / "again")
        dataset = open_dataset(str(tmp_path / "again"), plan.settings)
        assert dataset.name != plan.dataset.name
    asked = {"dataset": dataset, "options": earlier.options.replace(**now)}
    if leaks:
        with pytest.raises(SweepError, match="that this one reports on"):
            loans(plan, **asked)
    else:
        assert len(loans(plan, **asked)) == 1
