"""Predictions compared."""

import numpy as np


def same(one, other):
    """Asserts that two predictions say the same, to the bit."""
    assert (one.score, one.anomalous, one.threshold) == (other.score, other.anomalous, other.threshold)
    assert np.array_equal(one.anomaly_map, other.anomaly_map)
    assert np.array_equal(one.mask, other.mask)
    assert np.array_equal(one.image, other.image)
