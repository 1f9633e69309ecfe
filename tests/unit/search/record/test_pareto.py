"""The front of several objectives."""

from kdzoo.search.record.board import TrialRow
from kdzoo.search.record.pareto import front, pareto_trials


def row(number, objective, latency, *, status="finished", **more):
    also = {} if latency is None else {"latency_ms": latency}
    return TrialRow(
        f"bottle-{number}",
        "bottle",
        number,
        {"batch_size": number},
        status=status,
        objective=objective,
        also=also,
        **more,
    )


def test_the_front_of_points():
    points = [(0.9, 10.0), (0.8, 5.0), (0.7, 6.0), (0.9, 12.0), (0.95, 30.0), (0.8, 5.0)]
    assert front(points, ("maximize", "minimize")) == [0, 1, 4, 5]
    assert front(points, ("maximize", "maximize")) == [4]
    assert front([], ("maximize",)) == []


def test_only_trials_trained_to_their_end_with_all_values_take_part():
    rows = [
        row(0, 0.7, 4.0),
        row(1, 0.99, 3.0, status="stopped_early"),
        row(2, 0.9, 9.0),
        row(3, 0.95, None),
        row(4, None, 1.0),
        row(5, 0.6, 8.0),
        row(6, 0.99, 1.0, status="failed"),
    ]
    found = pareto_trials(rows, "aupro", ("latency_ms",))
    assert [(trial.number, dict(trial.objectives)) for trial in found] == [
        (2, {"aupro": 0.9, "latency_ms": 9.0}),
        (0, {"aupro": 0.7, "latency_ms": 4.0}),
    ]
    assert found[0].config == {"batch_size": 2}
    assert pareto_trials(rows, "aupro", ()) == []


def test_latencies_of_unlike_devices_are_never_compared():
    rows = [row(0, 0.9, 2.0, timed_on="H200"), row(1, 0.7, 9.0, timed_on="EPYC"), row(2, 0.6, 9.5, timed_on="EPYC")]
    found = pareto_trials(rows, "aupro", ("latency_ms",))
    assert [(trial.number, trial.timed_on) for trial in found] == [(1, "EPYC"), (0, "H200")]
