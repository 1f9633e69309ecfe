"""The real wheel of ELPV, 91 MB, through pip as this site has set it; left out where no index is within reach."""

import json

import pytest
from helpers.command import run

from kdzoo.data.catalog import open_dataset
from kdzoo.data.images import read_image
from kdzoo.data.splits import split
from kdzoo.errors import PackageError
from kdzoo.settings import Settings
from kdzoo.wheels import bring_wheel


@pytest.fixture
def reached(tmp_path_factory):
    """Leaves the test out where pip reaches nothing: a small wheel that every index has tells."""
    try:
        bring_wheel("packaging==25.0", tmp_path_factory.mktemp("probe"))
    except PackageError as error:
        pytest.skip(f"no package index is within reach: {error}")


@pytest.mark.long
def test_the_real_data_set(reached, capsys):
    done = run(capsys, "data", "download", "elpv", "--yes", "--json")
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert result["licence"] == "CC BY-NC-SA 4.0" and "Attribution-NonCommercial-ShareAlike 4.0" in done.err
    verified = run(capsys, "data", "verify", "elpv", "--json")
    assert verified.status == 0, verified.out
    dataset = open_dataset("elpv", Settings.from_environment())
    counts = {}
    for name in (*dataset.categories(), *dataset.info.on_request):
        index = dataset.category(name)
        counts[name] = (index.count("train"), index.count("test", 0), index.count("test", 1))
        parts = split(index, "holdout")
        assert len(parts.train) == counts[name][0] and not set(parts.select) & set(parts.report)
    assert counts == {
        "mono": (470, 118, 313),
        "mono-all": (470, 118, 313 + 117 + 56),
        "poly": (736, 184, 402),
        "poly-all": (736, 184, 402 + 178 + 50),
    }
    images = [read_image(sample.path).size for sample in dataset.category("mono-all").samples]
    assert set(images) == {(300, 300)}
