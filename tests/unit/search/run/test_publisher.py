"""Publishing in a thread of its own, and only once."""

import threading

import pytest

from kdzoo.search.run.publisher import Publisher, publish_once
from kdzoo.search.workers.finished import Finished
from kdzoo.settings import Settings
from kdzoo.zoo import TEACHER, WEIGHTS, Published, open_registry, publish
from zoo_registry import EntryName

ENTRY = EntryName(method="aand", dataset="parts", category="bottle")
FILES = {WEIGHTS: b"weights", TEACHER: b"teacher"}
DOCUMENT = {"sweep": "night"}


def test_a_slow_upload_holds_nothing_up_and_an_error_comes_back():
    going, done = threading.Event(), Published(release=1, promoted=True, note="first champion")

    def slow(category, finished):
        assert threading.current_thread() is not threading.main_thread()
        going.wait(30)
        if category == "cable":
            raise OSError("the zoo is gone")
        return done

    publisher, finished = Publisher(slow), Finished.failed("")
    publisher.submit("bottle", finished)
    publisher.submit("cable", finished)
    assert publisher.collect() == []
    assert publisher.busy
    going.set()
    collected = []
    while publisher.busy:
        collected += publisher.collect(wait=True)
    assert collected[0] == ("bottle", finished, done)
    assert collected[1][0] == "cable"
    assert str(collected[1][2]) == "the zoo is gone"
    assert publisher.collect(wait=True) == []


@pytest.fixture
def registry(tmp_path):
    return open_registry(Settings.from_environment({"KDZOO_HOME": str(tmp_path)}))


def test_what_an_earlier_driver_published_is_not_published_again(registry):
    first = publish(registry, ENTRY, DOCUMENT, FILES)
    again = publish_once(registry, ENTRY, DOCUMENT, FILES, look=True)
    assert (first.release, again.release, again.promoted) == (1, 1, True)
    assert registry.releases(ENTRY) == [1]


def test_a_release_that_its_driver_could_not_crown_becomes_champion(registry, tmp_path):
    paths = {role: tmp_path / role for role in FILES}
    for role, path in paths.items():
        path.write_bytes(FILES[role])
    registry.publish(ENTRY, DOCUMENT, paths, alias=None)
    again = publish_once(registry, ENTRY, DOCUMENT, FILES, look=True)
    assert (again.release, again.promoted) == (1, True)
    assert registry.read_alias(ENTRY, "champion").release == 1


@pytest.mark.parametrize(("document", "files"), [({"sweep": "day"}, FILES), (DOCUMENT, {**FILES, WEIGHTS: b"others"})])
def test_another_sweeps_release_or_other_weights_are_no_excuse(registry, document, files):
    publish(registry, ENTRY, DOCUMENT, FILES)
    assert publish_once(registry, ENTRY, document, files, look=True).release == 2
