"""What a manifest says of its MLflow run: others may have written it."""

import pytest

from kdzoo.mirror import _find_run


@pytest.mark.parametrize("told", [None, {}, {"experiment": "kdzoo/rd/toy"}, {"experiment": 3, "run": "a"}, "a", ["a"]])
def test_a_manifest_that_names_no_run_has_none(told):
    assert _find_run(None, told) is None


def test_the_run_that_it_names_is_asked_for():
    class Store:
        def find_run(self, experiment, key):
            return f"{experiment}: {key}"

    assert _find_run(Store(), {"experiment": "kdzoo/rd/toy", "run": "night/bottle"}) == "kdzoo/rd/toy: night/bottle"
