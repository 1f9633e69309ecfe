"""Where a rollback leads: a pile of releases, each rollback taking one off."""

from hypothesis import given
from hypothesis import strategies as st

from zoo_registry.format.alias import Move
from zoo_registry.zoo.history import way_back


def log(*steps):
    """Moves from ``(action, release)`` pairs."""
    moves, previous = [], None
    for number, (action, release) in enumerate(steps, 1):
        moves.append(
            Move(
                release=release,
                updated="2031-05-06T07:08:09Z",
                write_id=f"{number:032x}",
                number=number,
                previous=previous,
                action=action,
            )
        )
        previous = release
    return moves


def test_nothing_before():
    assert way_back([]) is None
    assert way_back(log(("publish", 1))) is None
    assert way_back(log(("publish", 1), ("set", 1))) is None


def test_one_back_then_two_back():
    forward = (("publish", 1), ("publish", 2), ("promote", 5))
    assert way_back(log(*forward)) == 2
    assert way_back(log(*forward, ("rollback", 2))) == 1
    assert way_back(log(*forward, ("rollback", 2), ("rollback", 1))) is None


def test_forward_again_after_going_back():
    assert way_back(log(("publish", 1), ("publish", 2), ("rollback", 1), ("publish", 3))) == 1


def test_an_old_release_set_by_hand_is_a_move_forward():
    assert way_back(log(("publish", 1), ("publish", 2), ("publish", 3), ("promote", 1))) == 3


def test_a_deleted_alias_goes_back_to_what_it_was():
    steps = (("publish", 1), ("publish", 2), ("delete", None))
    assert way_back(log(*steps)) == 2
    assert way_back(log(*steps, ("rollback", 2))) == 1


def test_a_log_that_begins_late_still_knows_the_release_before():
    assert way_back(log(("publish", 1), ("publish", 2), ("publish", 3))[2:]) == 2
    assert way_back(log(("publish", 1), ("publish", 2), ("publish", 3), ("publish", 4))[3:]) == 3


@given(st.lists(st.integers(0, 3), max_size=30))
def test_as_a_pile(draws):
    """0 rolls back where there is a way; anything else publishes the next release."""
    steps, pile, newest = [], [], 0
    for draw in draws:
        if draw == 0 and len(pile) > 1:
            pile.pop()
            steps.append(("rollback", pile[-1]))
        else:
            newest += 1
            pile.append(newest)
            steps.append(("publish", newest))
        assert way_back(log(*steps)) == (pile[-2] if len(pile) > 1 else None)
