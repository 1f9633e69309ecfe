import pytest
import torch

from kdzoo.data.formula.textures import formula_textures
from kdzoo.errors import UsageError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 13])
@pytest.mark.parametrize("size", [1, 2, 7, 33, (24, 40)])
def test_shape_range_and_dtype(count, size):
    textures = formula_textures(count, size, seeded(), "cpu")
    height, width = (size, size) if isinstance(size, int) else size
    assert textures.shape == (count, 3, height, width)
    assert textures.dtype == torch.float32
    assert textures.isfinite().all()
    assert ((textures >= 0) & (textures <= 1)).all()


def test_the_same_seed_gives_the_same_bits():
    one, two = (formula_textures(10, 48, seeded(5), "cpu") for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, formula_textures(10, 48, seeded(6), "cpu"))


def test_textures_of_a_batch_differ_in_colour_and_structure():
    textures = formula_textures(40, 64, seeded(), "cpu")
    assert textures.flatten(2).std(dim=2).amax(dim=1).min() > 0.002  # none is flat
    assert textures.mean(dim=(2, 3)).std(dim=0).min() > 0.08
    fine = (textures[..., 1:] - textures[..., :-1]).abs().mean(dim=(1, 2, 3))
    assert fine.max() > 10 * fine.min()  # from grain to slow gradients
    assert len(torch.unique(textures.flatten(1), dim=0)) == 40


def test_every_kind_takes_its_share():
    # Five kinds in turns: five textures hold one each, whichever the start; grain tells noise from the smooth kinds.
    kinds = [formula_textures(5, 64, seeded(seed), "cpu") for seed in range(6)]
    rough = torch.stack([(one[..., 1:] - one[..., :-1]).abs().mean(dim=(1, 2, 3)) for one in kinds])
    assert (rough.amax(dim=1) > 3 * rough.amin(dim=1)).all()


@pytest.mark.parametrize(("count", "size"), [(-1, 8), (2, 0), (2, (8, 0))])
def test_what_cannot_be_made(count, size):
    with pytest.raises(UsageError, match="cannot make"):
        formula_textures(count, size, seeded(), "cpu")
