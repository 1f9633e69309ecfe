"""What is told of masks that do not look as masks should."""

from kdzoo.data.mask_files import MaskLook
from kdzoo.data.verify_masks import mask_notes


def look(marked=0.1, lossy=False, grays=1):
    return MaskLook(marked=marked, lossy=lossy, grays=grays)


def test_nothing_of_masks_as_they_should_be():
    assert mask_notes({"a": look(), "b": look(marked=0.9), "c": look(marked=0.0), "d": look(grays=16)}) == []
    assert mask_notes({}) == []


def test_each_oddity_with_how_many_and_the_first():
    odd = {
        "a.png": look(lossy=True),
        "b.png": look(grays=17),
        "c.png": look(marked=0.95),
        "d.png": look(marked=9 / 1024**2),
        "e.png": look(marked=1 / 1024**2),
        "f.png": look(),
    }
    said = mask_notes(odd)
    assert [note.partition(" ")[0] for note in said] == ["1", "1", "1", "2"]
    for note, words, first in zip(
        said, ("are JPEGs", "shades of gray", "wrong way round", "--image-size 256"), "abcd", strict=True
    ):
        assert " of 6 masks " in note and words in note and note.endswith(f"first that of {first}.png")
