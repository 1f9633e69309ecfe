"""Batches: every image once, of nearly equal sizes, as floats in [0, 1]."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.training.images import ImageSource, shuffled_batches


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 5))
def test_every_image_once_and_sizes_that_differ_by_one_at_most(count, batch_size, seed):
    batches = shuffled_batches(count, batch_size, np.random.default_rng(seed))
    sizes = [len(batch) for batch in batches]
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) == -(-count // batch_size)
    if batch_size >= 3 and count > 1:
        assert min(sizes) > 1


def test_the_order_follows_the_generator():
    first, again, other = (
        np.concatenate(shuffled_batches(50, 8, np.random.default_rng(seed))).tolist() for seed in (1, 1, 2)
    )
    assert first == again != other != list(range(50))


@pytest.fixture
def source():
    images = np.zeros((5, 4, 4, 3), np.uint8)
    images[..., 0] = np.arange(5)[:, None, None] * 51
    images[..., 2] = 255
    images.flags.writeable = False
    return ImageSource(images, torch.device("cpu"))


def test_a_batch_is_float_channels_first_in_channels_last_memory(source):
    batch = source.batch(np.array([4, 1]))
    assert (batch.shape, batch.dtype) == ((2, 3, 4, 4), torch.float32)
    assert batch[:, 0, 0, 0].tolist() == pytest.approx([0.8, 0.2])
    assert batch[:, 1].max() == 0.0
    assert batch[:, 2].min() == 1.0
    assert batch.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 9])
def test_in_order_gives_all(source, batch_size):
    batches = list(source.in_order(batch_size))
    assert torch.equal(torch.cat(batches), source.batch(np.arange(5)))
    assert max(map(len, batches)) == min(batch_size, 5)
    assert len(source) == 5
