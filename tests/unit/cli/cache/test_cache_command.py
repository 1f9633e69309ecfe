import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.command import run
from helpers.layouts import make_category

from kdzoo.data.cache.decoded import decode
from kdzoo.data.cache.features import FeatureCache, FeatureLabel
from kdzoo.data.layouts.mvtec import read_category

DAY = 86400
BLOB = "ab" + "0" * 62


@pytest.fixture
def cache(isolated, tmp_path, monkeypatch) -> Path:
    """A cache with two decoded categories, one of them not used for ten days, and a pulled blob."""
    monkeypatch.setenv("KDZOO_CACHE", str(tmp_path / "cache"))
    for category, days in (("nut", 10), ("bolt", 0)):
        root = make_category(tmp_path / "parts" / category, defects={})
        index = read_category("parts", category, root)
        folder = decode(index.of_split("train"), size=8, cache_dir=tmp_path / "cache", masks=False).folder
        os.utime(folder / "index.json", (time.time() - days * DAY,) * 2)
    blob = tmp_path / "cache/zoo/sha256/ab" / BLOB
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x" * 1500)
    return tmp_path / "cache"


def decoded(cache):
    return [path for path in (cache / "decoded").iterdir() if path.is_dir()]


def listed(capsys, *arguments):
    return json.loads(run(capsys, "cache", "list", "--json", *arguments).out)


class TestList:
    def test_a_table_with_totals(self, cache, capsys):
        ran = run(capsys, "cache")
        lines = ran.out.splitlines()
        assert ran.status == 0 and ran.err == ""
        nut, bolt, blob = (next(line for line in lines if word in line) for word in ("parts/nut", "parts/bolt", BLOB))
        assert lines.index(nut) < lines.index(bolt) < lines.index(blob)
        assert nut.split()[:5] == ["decoded", "parts/nut", "train", "4", "8"] and "1.5 kB" in blob
        assert any(line.startswith("decoded ") and "of at most" in line for line in lines)
        assert lines[-1].startswith("total") and lines[-1].endswith(str(cache))

    def test_for_programs(self, cache, capsys, monkeypatch):
        monkeypatch.setenv("KDZOO_CACHE_LIMIT", "5GB")
        told = listed(capsys)
        assert told["limit_bytes"] == 5 * 10**9 and told["cache"] == str(cache)
        assert [item["what"] for item in told["items"]] == ["parts/nut", "parts/bolt", BLOB]
        assert told["bytes"]["zoo"] == 1500
        sizes = {kind: sum(i["bytes"] for i in told["items"] if i["kind"] == kind) for kind in ("decoded", "zoo")}
        assert told["bytes"] == sizes | {"total": sum(sizes.values())}

    def test_chosen(self, cache, capsys):
        assert [item["what"] for item in listed(capsys, "--dataset", "parts/nut")["items"]] == ["parts/nut"]
        assert len(listed(capsys, "-d", "parts/")["items"]) == 2
        assert [item["kind"] for item in listed(capsys, "--kind", "zoo")["items"]] == ["zoo"]
        assert "there are some of parts/bolt, parts/nut" in run(capsys, "cache", "list", "-d", "prts").err

    def test_no_cache_at_all(self, isolated, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("KDZOO_CACHE", str(tmp_path / "none"))
        ran = run(capsys, "cache")
        assert ran.status == 0 and "is empty" in ran.err and not (tmp_path / "none").exists()


class TestClear:
    def test_without_an_answer_nothing_goes(self, cache, capsys):
        ran = run(capsys, "cache", "clear")
        assert ran.status == 2 and "--yes" in ran.err and len(decoded(cache)) == 2

    def test_decoded_images_go_and_blobs_stay(self, cache, capsys):
        ran = run(capsys, "cache", "clear", "--yes")
        assert ran.status == 0 and "Deleted 2 items" in ran.out
        assert decoded(cache) == [] and (cache / "zoo/sha256/ab" / BLOB).exists()

    def test_old_ones(self, cache, capsys):
        assert "Nothing to delete" in run(capsys, "cache", "clear", "--older-than", "11d", "-y").err
        told = json.loads(run(capsys, "cache", "clear", "--older-than", "1.5w", "-y", "--json").out)
        assert told["removed"] == []
        told = json.loads(run(capsys, "cache", "clear", "--older-than", "7d", "-y", "--json").out)
        assert [item["what"] for item in told["removed"]] == ["parts/nut"] and len(decoded(cache)) == 1

    def test_of_a_data_set(self, cache, capsys):
        run(capsys, "cache", "clear", "--dataset", "parts/bolt", "--yes")
        assert [item["what"] for item in listed(capsys, "--kind", "decoded")["items"]] == ["parts/nut"]
        again = run(capsys, "cache", "clear", "--dataset", "parts/bolt", "--yes")
        assert again.status == 0 and "Nothing to delete" in again.err

    def test_a_dry_run_deletes_nothing(self, cache, capsys):
        ran = run(capsys, "cache", "clear", "--dry-run")
        assert ran.status == 0 and "Would delete 2 items" in ran.out and len(decoded(cache)) == 2

    def test_blobs(self, cache, capsys):
        assert "Deleted 1 item, 1.5 kB" in run(capsys, "cache", "clear", "--kind", "zoo", "--yes").out
        assert len(decoded(cache)) == 2 and not (cache / "zoo/sha256/ab" / BLOB).exists()

    def test_what_is_in_use_stays_and_is_told_of(self, cache, capsys, tmp_path):
        samples = read_category("parts", "nut", tmp_path / "parts/nut").of_split("train")
        held = decode(samples, size=8, cache_dir=cache, masks=False).images
        ran = run(capsys, "cache", "clear", "--yes")
        assert ran.status == 0 and "Kept: 1 item in use" in ran.err and len(decoded(cache)) == 1
        assert held.shape == (4, 8, 8, 3)

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (["--older-than", "soon"], "--older-than 'soon'"),
            (["--older-than", "-1d"], "--older-than"),
            (["--kind", "zoo", "--dataset", "parts"], "--dataset"),
            (["--dataset", " "], "empty"),
            (["--kind", "all"], "--kind"),
        ],
    )
    def test_wrong_arguments(self, cache, capsys, arguments, word):
        ran = run(capsys, "cache", "clear", "--yes", *arguments)
        assert ran.status == 2 and word in ran.err and len(decoded(cache)) == 2


class TestFeatures:
    @pytest.fixture
    def features(self, cache):
        """Of one of the categories, in no one's use."""
        label = FeatureLabel(name="parts/nut", part="train, tiny", images=4, side=8)
        FeatureCache(cache, None).keep("c" * 64, label, [[np.ones((4, 25), np.float32)]])
        return cache / "features" / ("c" * 64)

    def test_they_are_listed_and_counted(self, features, capsys):
        told = listed(capsys)
        (item,) = [item for item in told["items"] if item["kind"] == "features"]
        assert (item["what"], item["part"], item["images"], item["side"]) == ("parts/nut", "train, tiny", 4, 8)
        assert item["path"] == str(features) and item["bytes"] == told["bytes"]["features"] > 400
        assert told["bytes"]["total"] == sum(size for kind, size in told["bytes"].items() if kind != "total")
        assert [item["kind"] for item in listed(capsys, "--dataset", "parts/nut")["items"]] == ["decoded", "features"]
        assert len(listed(capsys, "--kind", "features")["items"]) == 1
        lines = run(capsys, "cache").out.splitlines()
        assert any(line.startswith("decoded ") and line.endswith(" with features") for line in lines)
        assert any(line.startswith("features ") for line in lines)

    def test_they_go_by_themselves(self, features, cache, capsys):
        assert "Deleted 2 items" in run(capsys, "cache", "clear", "--yes").out and features.exists()
        assert "Deleted 1 item" in run(capsys, "cache", "clear", "--kind", "features", "-d", "parts", "--yes").out
        assert not features.exists()

    def test_what_a_trial_uses_stays(self, features, cache, capsys):
        held = FeatureCache(cache, None).open(features.name, 4)
        assert "Kept: 1 item in use" in run(capsys, "cache", "clear", "--kind", "features", "--yes").err
        assert features.exists() and held.levels[0].shape == (4, 25)


def test_an_unknown_command_names_the_nearest(isolated, capsys):
    ran = run(capsys, "cache", "cler")
    assert ran.status == 2 and "did you mean 'clear'" in ran.err
