"""How train images may be changed, as text: on what is written, off otherwise, one way to write the same."""

import pytest
from helpers.trials import small_config

from kdzoo.errors import ConfigError
from kdzoo.methods.config import MethodConfig
from kdzoo.training.augmentation import Augmentation
from kdzoo.training.spec import RunOptions


def test_nothing_is_on_unless_asked_for():
    assert not Augmentation().changes
    assert Augmentation.parse("") == Augmentation.parse(" ") == Augmentation()
    assert str(Augmentation()) == ""
    options = RunOptions()
    assert not options.augmentation.changes
    assert options.notes == ()
    assert "augment" not in options.as_dict()


def test_a_text_comes_back_in_one_order():
    found = Augmentation.parse("contrast=0.25, rotate ,hflip")
    assert found == Augmentation(hflip=True, rotate=True, contrast=0.25)
    assert str(found) == "hflip,rotate,contrast=0.25"
    assert Augmentation.parse(str(found)) == found
    options = RunOptions(augment="contrast=0.25,hflip, rotate")
    assert options.as_dict()["augment"] == "hflip,rotate,contrast=0.25"
    assert RunOptions.from_record(options.as_dict()) == options
    assert "computed at every step" in options.notes[0]


def test_a_range_of_nothing_is_nothing():
    assert RunOptions(augment="brightness=0").augment == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flop", "unknown augmentation 'flop'"),
        ("rotat", "unknown augmentation 'rotat'; did you mean 'rotate'?"),
        ("hflip,,vflip", "unknown augmentation ''"),
        ("hflip,hflip", "'hflip' is there twice"),
        ("brightness", "'brightness' is not understood"),
        ("brightness=much", "'brightness=much' is not understood"),
        ("hflip=1", "'hflip=1' is not understood"),
        ("contrast=0.95", "contrast = 0.95 is out of range"),
        ("brightness=-0.1", "brightness = -0.1 is out of range"),
        ("brightness=nan", "expected a finite number"),
    ],
)
def test_texts_that_say_nothing(text, said):
    with pytest.raises(ConfigError) as caught:
        RunOptions(augment=text)
    assert said in str(caught.value)


def test_a_method_that_looks_once_is_told_so():
    class Bank(MethodConfig):
        """Without gradient steps."""

        passes = 1

    options = RunOptions(augment="hflip")
    with pytest.raises(ConfigError, match="'bank' looks at the train images once, as they are, so --augment says"):
        options.check_augment("bank", Bank())
    RunOptions().check_augment("bank", Bank())
    options.check_augment("rd", small_config("rd"))
