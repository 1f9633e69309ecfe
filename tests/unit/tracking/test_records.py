import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.tracking.records import (
    MAX_PARAM,
    Cost,
    Record,
    RunRef,
    fitted_metrics,
    fitted_texts,
)
from kdzoo.tracking.reference import ReleaseRef

REF = RunRef(experiment="kdzoo/rd/demo", key="s/weave", name="weave", parent=RunRef(experiment="e", key="s", name="s"))


@given(
    st.dictionaries(st.text(), st.text()),
    st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    st.none() | st.binary(),
)
def test_a_record_survives_the_journal(texts, metrics, picture):
    release = ReleaseRef(zoo="z", entry="rd/demo/weave", release=2, manifest_sha256="ab" * 32)
    record = Record(
        run=REF,
        time_ms=5,
        params=texts,
        tags=texts,
        metrics=metrics,
        state="FINISHED",
        picture=picture,
        published=release if picture else None,
        champion=bool(picture),
    )
    line = record.to_line()
    assert line.count(b"\n") == 1
    assert Record.from_line(line) == record


def test_a_journal_from_before_releases_were_told_is_still_read():
    old = json.loads(Record(run=REF, time_ms=5).to_line())
    del old["published"], old["champion"]
    assert Record.from_line(json.dumps(old).encode()) == Record(run=REF, time_ms=5)


@given(st.binary(max_size=60))
def test_no_damaged_line_escapes_as_another_error(line):
    with pytest.raises(ValueError):
        Record.from_line(line)


def test_a_torn_or_foreign_line_is_no_record():
    line = Record(run=REF, time_ms=5).to_line()
    for cut in range(1, len(line) - 1):
        with pytest.raises(ValueError):
            Record.from_line(line[:cut])
    extra = json.dumps({**json.loads(line), "unknown": 1}).encode()
    with pytest.raises(ValueError, match="unknown"):
        Record.from_line(extra)


def test_texts_are_fitted_to_the_limits():
    fitted = fitted_texts({"a" * 300: 1, "why?": "x" * 9000, "none": None, "url": "http://u:p@h"}, MAX_PARAM)
    assert fitted == {"a" * 250: "1", "why_": "x" * 6000, "url": "http://h"}


def test_a_password_is_not_cut_in_half_by_the_limit():
    text = "x" * 90 + " http://user:secret@host"
    assert "secr" not in fitted_texts({"url": text}, 110)["url"]


def test_metrics_that_are_not_finite_are_left_out():
    assert fitted_metrics({"a": math.nan, "b": math.inf, "c": 1, "d e/f": 0.5}) == {"c": 1.0, "d e/f": 0.5}


def test_cost_is_two_metrics():
    assert Cost(seconds=3.0, gpu_seconds=1.5).as_metrics() == {"cost_seconds": 3.0, "cost_gpu_seconds": 1.5}
