"""Patches of the teacher's features, by hand."""

import numpy as np
import pytest
import torch

from kdzoo.methods.layers.patches import patches_of, positions_inside, random_rows, share_of


def test_a_patch_is_the_mean_of_its_neighbourhood_level_beside_level():
    fine = torch.arange(16.0).view(1, 1, 4, 4)
    coarse = torch.stack([torch.full((2, 2), 7.0), torch.full((2, 2), 5.0)])[None]
    found = patches_of([torch.zeros(1), fine, coarse], (1, 2), 3)
    assert found.shape == (1, 3, 4, 4)
    assert found[0, 0, 1, 1] == np.mean([0, 1, 2, 4, 5, 6, 8, 9, 10])
    # At a corner four of the nine are within, and the others are zeros.
    assert found[0, 0, 0, 0] == pytest.approx(sum([0, 1, 4, 5]) / 9)
    assert found[0, 1:, 0, 0].tolist() == pytest.approx([7 * 4 / 9, 5 * 4 / 9])


def test_a_patch_counts_where_some_pixel_of_it_does():
    inside = torch.zeros(2, 4, 4, dtype=torch.bool)
    inside[0, 1, 3] = True
    patches = torch.zeros(2, 5, 2, 2)
    assert positions_inside(inside, patches).tolist() == [[False, True, False, False], [False] * 4]
    assert positions_inside(None, patches).all()


def test_rows_are_drawn_in_order_by_torchs_generator():
    rows = torch.arange(20.0).view(10, 2)
    torch.manual_seed(0)
    first = random_rows(rows, 4)
    torch.manual_seed(0)
    assert torch.equal(random_rows(rows, 4), first)
    assert len(first) == 4 and first[:, 0].tolist() == sorted(set(first[:, 0].tolist()))
    kept = random_rows(rows, 10)
    assert torch.equal(kept, rows) and kept.data_ptr() != rows.data_ptr()


@pytest.mark.parametrize(("most", "images"), [(10, 3), (2, 5), (8000, 7)])
def test_the_shares_of_all_images_are_what_is_kept_at_most(most, images):
    shares = [share_of(most, image, images) for image in range(images)]
    assert sum(shares) == most
    assert max(shares) - min(shares) <= 1
