"""Over every store: each move of an alias is logged once and only if it happened, wherever a mover stops."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import (
    ConflictError,
    ManifestInvalidError,
    NameInvalidError,
    ReleaseNotFoundError,
    StoreUnavailableError,
)
from zoo_registry.format.alias import Alias, Move
from zoo_registry.format.layout import alias_key, move_key
from zoo_registry.format.names import EntryName
from zoo_registry.zoo import aliasing
from zoo_registry.zoo.aliasing import WHATEVER, Reason
from zoo_registry.zoo.person import this_person
from zoo_registry.zoo.registry import Registry

ENTRY = EntryName("rd", "demo", "weave")
MOVERS = 16
TURNS = 5


@pytest.fixture
def registry(store, tmp_path):
    made = Registry(store, BlobCache(tmp_path / "cache"))
    for number in range(3):
        made.publish(ENTRY, {"n": number}, {}, alias=None)
    return made


class Killed(BaseException):
    """Stops a mover as a kill does: nothing catches it."""


class Dying:
    """A store whose user is killed before or after its n-th write."""

    def __init__(self, store, *, writes: int, after: bool):
        self._store, self._left, self._after = store, writes, after

    def __getattr__(self, name):
        real = getattr(self._store, name)
        if name not in ("put_if_absent", "compare_and_swap"):
            return real

        def write(*args, **kwargs):
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            done = real(*args, **kwargs)
            if self._left == 0:
                raise Killed
            return done

        return write


def told(moves):
    return [(move.number, move.action, move.previous, move.release) for move in moves]


def test_every_move_is_told_with_who_and_why(registry, store):
    registry.set_alias(ENTRY, "staging", 1, reason=Reason(who="ada@line3", why="on trial"))
    registry.set_alias(ENTRY, "staging", 2)
    gone = registry.alias_log.delete(ENTRY, "staging", reason=Reason(why="over"))
    assert (gone.release, gone.previous, gone.action) == (None, 2, "delete")
    again = registry.set_alias(ENTRY, "staging", 3, expected=None)
    moves = registry.alias_log.moves("rd/demo/weave", "staging")
    assert told(moves) == [(1, "set", None, 1), (2, "set", 1, 2), (3, "delete", 2, None), (4, "set", None, 3)]
    assert [(move.who, move.why) for move in moves] == [
        ("ada@line3", "on trial"),
        (this_person(), ""),
        (this_person(), "over"),
        (this_person(), ""),
    ]
    assert moves[-1].alias == again == registry.read_alias(ENTRY, "staging")
    # The log is copies of the alias file as it was, one a move.
    assert store.get(move_key(ENTRY, "staging", 4)) == store.get(alias_key(ENTRY, "staging"))
    assert registry.alias_log.names(ENTRY) == ["staging"]


def test_a_deleted_alias_is_not_there(registry):
    registry.set_alias(ENTRY, "staging", 1)
    registry.set_alias(ENTRY, "line-3", 1)
    registry.alias_log.delete(ENTRY, "staging")
    assert list(registry.aliases(ENTRY)) == ["line-3"]
    with pytest.raises(ReleaseNotFoundError, match="staging"):
        registry.read_alias(ENTRY, "staging")
    with pytest.raises(ReleaseNotFoundError, match="staging"):
        registry.resolve(ENTRY, alias="staging")
    with pytest.raises(ReleaseNotFoundError, match="staging"):
        registry.alias_log.delete(ENTRY, "staging")
    with pytest.raises(ReleaseNotFoundError):
        registry.alias_log.delete(ENTRY, "never-was")


def test_a_deletion_is_compared_and_swapped(registry):
    seen = registry.set_alias(ENTRY, "staging", 1)
    registry.set_alias(ENTRY, "staging", 1)
    with pytest.raises(ConflictError, match="moved by somebody else"):
        registry.alias_log.delete(ENTRY, "staging", expected=seen)
    assert registry.read_alias(ENTRY, "staging").number == 2


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3])
def test_a_killed_mover_leaves_a_log_that_is_true(registry, store, write, after):
    """Writes of a second move: the first move's record (there already), the swap, the second move's record."""
    first = registry.set_alias(ENTRY, "champion", 1)
    with pytest.raises(Killed):
        aliasing.point(Dying(store, writes=write, after=after), ENTRY, "champion", 2, expected=WHATEVER)
    moved = (write, after) >= (2, True)
    now = registry.read_alias(ENTRY, "champion")
    assert now.release == (2 if moved else 1)
    moves = registry.alias_log.moves(ENTRY, "champion")
    assert [move.release for move in moves] == ([1, 2] if moved else [1])
    assert moves[0].alias == first and moves[-1].alias == now
    registry.set_alias(ENTRY, "champion", 3)  # the next mover writes what the killed one did not
    logged = [move_key(ENTRY, "champion", move.number) in store.list("entries/") for move in moves]
    assert all(logged)
    assert [move.release for move in registry.alias_log.moves(ENTRY, "champion")] == [m.release for m in moves] + [3]


def test_many_movers_at_once_are_all_told_in_one_row(registry):
    together = threading.Barrier(6)

    def move(number):
        together.wait(timeout=120)
        return registry.set_alias(ENTRY, "champion", number % 3 + 1, reason=Reason(who=f"mover-{number}"))

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(move, range(6)))
    moves = registry.alias_log.moves(ENTRY, "champion")
    assert [found.number for found in moves] == list(range(1, 7))
    assert {found.who for found in moves} == {f"mover-{number}" for number in range(6)}
    assert {found.write_id for found in moves} == {found.write_id for found in made}
    assert [found.previous for found in moves[1:]] == [found.release for found in moves[:-1]]


def test_of_many_who_saw_the_same_one_moves(store, registry, tmp_path):
    """Round after round, each with a registry of its own, told what the alias was: one is told that it moved it."""
    movers = [Registry(store, BlobCache(tmp_path / f"cache{number}")) for number in range(MOVERS)]
    together = threading.Barrier(MOVERS)

    def move(number, turn, seen):
        together.wait(timeout=120)
        reason = Reason(who=f"mover-{number}", why=f"turn {turn}")
        try:
            return movers[number].set_alias(ENTRY, "champion", number % 3 + 1, expected=seen, reason=reason)
        except ConflictError:
            return None

    made = [None]
    with ThreadPoolExecutor(MOVERS) as pool:
        for turn in range(TURNS):
            told = list(pool.map(move, range(MOVERS), [turn] * MOVERS, [made[-1]] * MOVERS))
            moved = [found for found in told if found is not None]
            assert len(moved) == 1, f"{len(moved)} were told that they moved it"
            assert registry.read_alias(ENTRY, "champion") == moved[0]
            made += moved
    moves = registry.alias_log.moves(ENTRY, "champion")
    assert [found.alias for found in moves] == made[1:]
    assert [(found.number, found.why) for found in moves] == [(turn + 1, f"turn {turn}") for turn in range(TURNS)]


def test_a_move_whose_record_is_refused_stands(registry, store, monkeypatch, caplog):
    real = store.put_if_absent

    def refuse(key, *args, **kwargs):
        if "/history/" in key:
            raise StoreUnavailableError("no route")
        return real(key, *args, **kwargs)

    monkeypatch.setattr(store, "put_if_absent", refuse)
    assert registry.set_alias(ENTRY, "champion", 2).release == 2
    assert "not in the log yet: no route" in caplog.text
    assert told(registry.alias_log.moves(ENTRY, "champion")) == [(1, "set", None, 2)]


def test_an_alias_file_without_a_log_begins_one(registry, store):
    old = b'{"schema": "kdzoo-alias/1", "release": 2, "updated": "2031-05-06T07:08:09Z", "write_id": "%s"}' % (
        b"ab" * 16
    )
    assert store.compare_and_swap(alias_key(ENTRY, "champion"), old, None)
    assert told(registry.alias_log.moves(ENTRY, "champion")) == [(1, "set", None, 2)]
    registry.set_alias(ENTRY, "champion", 3)
    assert told(registry.alias_log.moves(ENTRY, "champion")) == [(1, "set", None, 2), (2, "set", 2, 3)]


def test_an_alias_file_removed_by_hand_does_not_restart_the_log(registry, store):
    registry.set_alias(ENTRY, "champion", 1)
    registry.set_alias(ENTRY, "champion", 2)
    store.delete(alias_key(ENTRY, "champion"))
    registry.set_alias(ENTRY, "champion", 3)
    assert told(registry.alias_log.moves(ENTRY, "champion")) == [
        (1, "set", None, 1),
        (2, "set", 1, 2),
        (3, "set", None, 3),
    ]


def test_a_damaged_record_is_warned_of_and_left_out(store, tmp_path):
    said = []
    registry = Registry(store, BlobCache(tmp_path / "cache"), on_warning=said.append)
    registry.publish(ENTRY, {}, {}, alias=None)
    for _ in range(3):
        registry.set_alias(ENTRY, "champion", 1)
    for number, data in ((1, b"{"), (2, store.get(move_key(ENTRY, "champion", 3)))):
        store.delete(move_key(ENTRY, "champion", number))
        assert store.put_if_absent(move_key(ENTRY, "champion", number), data)
    assert [move.number for move in registry.alias_log.moves(ENTRY, "champion")] == [3]
    assert len(said) == 2 and all("left out" in sentence for sentence in said)


@pytest.mark.parametrize("why", ["x" * 1001, "two\nlines", "\x1b[2Jgone", "to the \u202eleft"])
def test_what_cannot_be_logged_is_not_done(registry, why):
    with pytest.raises(ManifestInvalidError, match="why"):
        registry.set_alias(ENTRY, "champion", 1, reason=Reason(why=why))
    assert registry.alias_log.moves(ENTRY, "champion") == []


def test_names_are_checked(registry):
    for ask in (registry.alias_log.moves, registry.alias_log.delete):
        with pytest.raises(NameInvalidError):
            ask(ENTRY, "../champion")
        with pytest.raises(NameInvalidError):
            ask("rd/demo/../weave", "champion")


def test_parse_says_deleted_or_there():
    there = Move(
        release=3, updated="2031-05-06T07:08:09Z", write_id="ab" * 16, number=2, previous=1, who="ada", why="x"
    )
    assert Move.parse(there.to_bytes()) == there
    assert Alias.parse(there.to_bytes()) == there.alias
    for changed in ({"number": 0}, {"previous": 0}, {"action": "kill"}, {"release": None}, {"action": "delete"}):
        with pytest.raises(ManifestInvalidError):
            Move(**({key: value for key, value in there.fields().items() if key != "schema"} | changed))
