"""What `kdzoo submit` takes its first word for; no cluster is asked."""

import pytest
from helpers.command import run

NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize("words", [("swep", "aand"), ("run", "swep", "aand"), ("--", "swep")])
def test_a_word_that_is_none_of_its_own_commands_is_one_of_kdzoos(capsys, words):
    ran = run(capsys, "submit", "--address", NOWHERE, *words)
    assert ran.status == 2 and ran.out == ""
    assert "unknown command 'swep'; did you mean 'sweep'?" in ran.err


def test_it_does_not_submit_itself(capsys):
    ran = run(capsys, "submit", "--address", NOWHERE, "submit")
    assert ran.status == 2
    assert "unknown command 'submit'" in ran.err


def test_its_help_lists_its_own_commands(capsys):
    listed = run(capsys, "submit", "--help").out.partition("Commands:")[2]
    assert [line.split()[0] for line in listed.splitlines() if line.strip()] == ["list", "logs", "show", "stop"]
