"""Reading and changing scattered pixels, whatever order the channels lie in."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.data.synthesis.pixels import above, as_mask, marked_places, read_colours, with_colours


def batch(count, height, width, layout):
    images = torch.arange(float(count * 3 * height * width)).view(count, 3, height, width)
    if layout == "cut":
        return torch.stack([images, images], dim=4)[..., 0]
    return images.contiguous(memory_format=layout)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    layout=st.sampled_from([torch.contiguous_format, torch.channels_last, "cut"]),
    seed=st.integers(0, 1000),
)
def test_reading_and_changing_equal_indexing(count, height, width, layout, seed):
    images = batch(count, height, width, layout)
    before = images.clone()
    marks = torch.rand((count, 1, height, width), generator=torch.Generator().manual_seed(seed)) < 0.4
    places = marked_places(marks)
    image, _, row, column = marks.nonzero(as_tuple=True)
    assert torch.equal(places, (image * height + row) * width + column)
    colours = read_colours(images, places)
    assert torch.equal(colours, images[image, :, row, column].t())
    changed = with_colours(images, places, -colours - 1)
    expected = torch.where(marks, -before - 1, before)
    assert torch.equal(changed, expected) and torch.equal(images, before)


def test_channels_keep_their_order_in_memory():
    images = batch(2, 4, 5, torch.channels_last)
    changed = with_colours(images, torch.tensor([3]), torch.zeros(3, 1))
    assert changed.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(0, 4), (3,), (2, 1, 3)])
def test_nothing_marked(shape):
    places = marked_places(torch.zeros(shape, dtype=torch.bool))
    assert places.shape == (0,) and places.dtype == torch.int64


def test_marks_as_numbers():
    values = torch.tensor([[0.2, 0.5], [0.7, -1.0]])
    marks = above(values, 0.5)
    assert marks.tolist() == [[False, False], [True, False]]
    assert torch.equal(as_mask(marks, torch.float32), marks.float())
