"""`kdzoo calibrate` on a published detector."""

import json
from pathlib import Path

import pytest
from helpers.command import run
from helpers.layouts import write_image
from helpers.trials import small_trial
from safetensors.torch import save

from kdzoo.settings import Settings
from kdzoo.training.outcome import conclude
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS, open_registry, publish
from zoo_registry import EntryName

NAME = "rd/toy/bottle"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    trainer = small_trial(tmp_path_factory.mktemp("trial"), "rd", epochs=1)
    trainer.step()
    outcome = conclude(trainer)
    weights = save({name: tensor.contiguous() for name, tensor in outcome.method.learned_state().items()})
    return outcome.document, {WEIGHTS: weights, TEACHER: outcome.method.teacher.weights(), PICTURE: outcome.picture}


@pytest.fixture
def folders(trained, tmp_path):
    publish(open_registry(Settings.from_environment()), EntryName.parse(NAME), *trained)
    for number in range(9):
        write_image(tmp_path / "good" / f"{number}.png")
    for number in range(4):
        write_image(tmp_path / "bad" / f"{number}.png")
    return tmp_path / "good", tmp_path / "bad"


def test_a_release_with_thresholds_of_its_own(capsys, folders):
    good, bad = folders
    ran = run(capsys, "calibrate", "rd", "toy/bottle", "--normals", good, "--defects", bad, "--false-alarms", "0.5%")
    assert ran.status == 0, ran.err
    assert f"release 2 of {NAME}, the weights of release 1" in ran.out
    assert "9 normal images given for it, 0 of them above the threshold" in ran.out
    assert "9 normal images cannot show 0.5 %: 199 would hold it on average, 598 without an alarm" in ran.out
    assert f"`kdzoo zoo promote {NAME} 2` makes it champion" in ran.out
    card = run(capsys, "zoo", "show", NAME, "--release", 2).out
    assert next(line.split()[1] for line in card.splitlines() if line.startswith("digest ")) in ran.out
    assert "the weights of release 1, on 9 normals and 4 defects" in card
    documents = [json.loads(run(capsys, "zoo", "show", NAME, "--release", n, "--json").out)["document"] for n in (1, 2)]
    assert documents[0]["provenance"] == documents[1]["provenance"], "that of the weights, which no command made here"
    assert documents[0]["weights"] == documents[1]["weights"]
    command = documents[1]["recalibrated"]["provenance"]["command"]
    assert command.startswith("kdzoo calibrate rd toy/bottle --normals ") and command in card
    assert run(capsys, "zoo", "promote", NAME, 2).out == f"champion of {NAME} is release 2\n"


def test_by_cost_and_at_once_champion(capsys, folders):
    good, bad = folders
    given = ("--normals", good, "--defects", bad, "--cost-miss", 50, "--cost-alarm", 2, "--defect-rate", "1%")
    ran = run(capsys, "calibrate", "rd", "toy/bottle", *given, "--champion", "--message", "new lamp", "--json")
    assert ran.status == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert (result["release"], result["from_release"], result["promoted"]) == (2, 1, True)
    assert result["recalibrated"]["costs"] == {"miss": 50.0, "alarm": 2.0, "defect_rate": 0.01}
    assert result["operating_point"]["calibration"]["chosen_by"] == "cost"
    (first, last) = json.loads(run(capsys, "zoo", "history", NAME, "--json").out)
    assert (first["release"], last["release"]) == (1, 2) and "other thresholds" in last["why"]
    again = run(capsys, "calibrate", "rd", "toy/bottle", *given)
    assert "release 3" in again.out and "for 1000 images, at 50 a miss and 2 an alarm" in again.out
    assert "chosen by cost: at most" in again.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--cost-miss", 5), "--defects"),
        (("--cost-alarm", 5), "--cost-miss"),
        (("--defect-rate", "1%"), "--cost-miss"),
        (("--defects", "{bad}", "--cost-miss", 5, "--false-alarms", "1%"), "both choose"),
        (("--defects", "{good}"), "in both folders"),
        (("--defects", "{bad}/none"), "there is no folder of defective images"),
        (("--false-alarms", "2"), "out of range"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_published(capsys, folders, given, said):
    good, bad = folders
    words = [str(word).format(good=good, bad=bad) for word in given]
    ran = run(capsys, "calibrate", "rd", "toy/bottle", "--normals", good, *words)
    assert ran.status == 2 and said in ran.err
    assert open_registry(Settings.from_environment()).releases(EntryName.parse(NAME)) == [1]


def test_the_result_is_told_where_the_category_cannot_be_read(capsys, folders):
    """The champion has moved by then."""
    settings = Settings.from_environment()
    (Path(settings.zoo) / "entries" / "best" / "toy" / "bottle" / "withdrawn.json").write_text("{")
    ran = run(capsys, "calibrate", "rd", "toy/bottle", "--normals", folders[0], "--champion", "--json")
    assert ran.status == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert result["promoted"]
    assert "over all methods it does not lead: not compared over all methods: " in result["note"]
    assert open_registry(settings).read_alias(NAME, "champion").release == 2
