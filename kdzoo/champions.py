"""Who becomes champion, and how it is undone: every move of an alias that kdzoo makes, with its reason in the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kdzoo.category_entry import check_withdrawn
from kdzoo.comparing import compare, is_rival_of_one_command, told_apart
from kdzoo.errors import PromotionError
from zoo_registry import Alias, EntryName, Manifest, Registry
from zoo_registry.errors import (
    ConflictError,
    EntryNotFoundError,
    ManifestInvalidError,
    ReleaseNotFoundError,
    SignatureError,
    StaleError,
    WithdrawnError,
)
from zoo_registry.format.alias import Move
from zoo_registry.format.records import utc_text
from zoo_registry.zoo.aliasing import Reason
from zoo_registry.zoo.history import way_back

CHAMPION = "champion"
_MOVES = 20
"""How often to try anew when other publishers keep moving the champion."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a document stands against the champion.

    Attributes:
        against: the alias that was read; None when there is none.
        wins: whether the alias is to be moved.
        loses: whether it was compared and its objective is no better, so that there is nothing to publish.
        note: one line that says why.
    """

    against: Alias | None
    wins: bool
    loses: bool
    note: str


def judge(registry: Registry, entry: EntryName, document: Mapping[str, Any], *, weights: str | None = None) -> Verdict:
    """Compares a document with the champion of this moment.

    A champion is beaten by a better objective under the same protocol, on the same images at the same input size and
    way of resizing, where these tell the two apart; one that cannot be compared is not. Train images may differ.

    Args:
        registry: the zoo.
        entry: whose champion.
        document: of the challenger.
        weights: sha256 of its weights, where a release of the same weights may take the champion's place: then it
            differs in its thresholds, on which a person has decided.

    Raises:
        RegistryError: the zoo cannot be read.
    """
    alias = None
    try:
        alias, doubt = _champion(registry, entry)
        if doubt:
            return Verdict(against=alias, wins=False, loses=False, note=doubt)
        if alias is None:
            return Verdict(against=None, wins=True, loses=False, note="first champion")
        champion = registry.resolve(entry, alias.release)
        check_withdrawn(registry, champion)
    except WithdrawnError:
        note = f"champion {alias.release} was withdrawn" if alias else ""
        return Verdict(against=alias, wins=True, loses=False, note=note)
    except (EntryNotFoundError, ReleaseNotFoundError):
        note = f"champion {alias.release} is no longer there" if alias else "first champion"
        return Verdict(against=alias, wins=True, loses=False, note=note)
    except ManifestInvalidError as error:
        note = f"not compared with the champion, which cannot be read: {error}"
        return Verdict(against=alias, wins=False, loses=False, note=note)
    if weights is not None and weights == weights_of(champion):
        note = f"the weights of champion {champion.release} with other thresholds"
        return Verdict(against=alias, wins=True, loses=False, note=note)
    return _compared(document, champion, alias)


def _champion(registry: Registry, entry: EntryName) -> tuple[Alias | None, str]:
    """The champion, None where there is none, and why nothing is to be built on it; empty where it may be.

    A release that is made champion by itself is vouched for by the publisher's key: not in the place of an alias that
    somebody else put there or took away.

    Raises:
        EntryNotFoundError, ReleaseNotFoundError: there is no such entry.
        ManifestInvalidError: the alias file is damaged.
    """
    before = registry.states.seen(entry, CHAMPION)
    try:
        alias = registry.read_alias(entry, CHAMPION)
    except ReleaseNotFoundError:
        taken = before.number and not registry.alias_log.was_deleted(entry, CHAMPION)
        force = "`kdzoo zoo promote --force` sets it anew"
        return None, f"alias {CHAMPION} was there when it was last followed here, and is gone; {force}" if taken else ""
    try:
        registry.states.take(entry, CHAMPION, alias, before, expires=False)
    except (SignatureError, StaleError) as error:
        return alias, f"not compared with the champion: {error}; `kdzoo zoo promote --force` moves it"
    return alias, ""


def _compared(document: Mapping[str, Any], champion: Manifest, alias: Alias) -> Verdict:
    number, found = champion.release, compare(document, champion.document)
    if found.why_not:
        why = found.why_not.replace("the champion does", f"release {number} does")
        note = f"not compared with champion {number}: {why}; `kdzoo zoo promote --force` moves it"
        return Verdict(against=alias, wins=False, loses=False, note=note)
    ours, theirs = found.ours, found.theirs
    on = f"; {found.said}" if found.said else ""
    if ours <= theirs:
        note = f"champion {number} stays ({theirs:.4f}{f', here {ours:.4f}' if on else ''}){on}"
        return Verdict(against=alias, wins=False, loses=True, note=note)
    wins, told = told_apart(document, champion.document, found.part)
    if wins or is_rival_of_one_command(document, champion.document):
        note = f"beats champion {number} ({theirs:.4f}), {told}{on}"
        return Verdict(against=alias, wins=True, loses=False, note=note)
    note = f"champion {number} stays ({theirs:.4f}, here {ours:.4f}): {told}{on}; `kdzoo zoo promote --force` moves it"
    return Verdict(against=alias, wins=False, loses=False, note=note)


def crown(
    registry: Registry,
    entry: EntryName,
    document: Mapping[str, Any],
    release: int,
    *,
    who: str | None = None,
    weights: str | None = None,
) -> Verdict:
    """Points `champion` at a release just published if that beats whichever champion there is by now.

    Args:
        registry: the zoo.
        entry: whose champion.
        document: of the release.
        release: its number.
        who: who moves the alias, for its log; default this process's ``user@host``.
        weights: as in `judge`.

    Returns:
        The verdict that counted: the alias was moved if it ``wins``.

    Raises:
        RegistryError: the alias cannot be read or moved.
    """
    for _ in range(_MOVES):
        verdict = judge(registry, entry, document, weights=weights)
        if not verdict.wins:
            return verdict
        reason = Reason(action="publish", who=who, why=verdict.note, expires=_same_term(registry, verdict.against))
        try:
            registry.set_alias(entry, CHAMPION, release, expected=verdict.against, reason=reason)
        except ConflictError:
            continue  # another publisher was faster: its champion is the one to beat now
        return verdict
    raise _contended(entry)


def _same_term(registry: Registry, present: Alias | None) -> str | None:
    """Until when an alias is to be followed that is moved by itself: as long from now as it was from its last move."""
    if present is None or present.expires is None or not registry.states.would_sign_moves:
        return None
    then, since = datetime.fromisoformat(present.expires), datetime.fromisoformat(present.updated)
    return utc_text(datetime.now(UTC) + max(then - since, timedelta()))


def promote(
    registry: Registry,
    entry: EntryName,
    release: int,
    *,
    force: bool = False,
    who: str | None = None,
    why: str = "",
    expires: str | None = None,
) -> Alias:
    """Makes a release champion if it beats the present one.

    Args:
        registry: the zoo.
        entry: whose.
        release: which; one that is champion already stays it, and nothing is logged unless the alias lacks its
            signature or is to expire at another time.
        force: also if it is worse or cannot be compared.
        who: who does so, for the log; default this process's ``user@host``.
        why: one line for the log; default what the comparison said.
        expires: until when the alias is to be followed, in UTC; None for ever.

    Raises:
        KeyInvalidError: it is to expire, and there is no key to sign that with.
        PromotionError: it does not beat the champion.
        EntryNotFoundError, ReleaseNotFoundError: there is no such release.
        ConflictError: somebody else moved the champion meanwhile.
        ManifestInvalidError: ``who`` or ``why`` cannot be logged, or the release's manifest is damaged.
    """
    challenger = registry.resolve(entry, release)
    for _ in range(_MOVES):
        verdict = judge(registry, entry, challenger.document, weights=weights_of(challenger))
        present = verdict.against
        if present is not None and present.release == release:
            is_so = present.expires == expires and not registry.states.would_sign(present)
            if is_so and not registry.alias_log.is_put_back(entry, present, CHAMPION):
                return present
            reason = Reason(who=who, why=why, expires=expires)
            return registry.set_alias(entry, CHAMPION, release, expected=present, reason=reason)
        if not verdict.wins and not force:
            raise PromotionError(
                f"release {release} of {entry} does not become champion: {verdict.note}",
                hint=f"to do it all the same: kdzoo zoo promote {entry} {release} --force",
            )
        said = why or (verdict.note if verdict.wins else "by force")
        reason = Reason(action="promote", who=who, why=said, expires=expires)
        try:
            return registry.set_alias(entry, CHAMPION, release, expected=present, reason=reason)
        except ConflictError:
            if force:  # what was to be overruled is no longer what was seen
                raise
    raise _contended(entry)


def point(
    registry: Registry,
    entry: EntryName,
    alias: str,
    release: int,
    *,
    force: bool = False,
    who: str | None = None,
    why: str = "",
    expires: str | None = None,
) -> Alias:
    """Points any alias at a release: `champion` as `promote` does, another wherever it was.

    Raises:
        KeyInvalidError: it is to expire, and there is no key to sign that with.
        PromotionError: it does not beat the champion.
        EntryNotFoundError, ReleaseNotFoundError: there is no such release.
        ConflictError: somebody else moved the alias meanwhile.
        NameInvalidError, ManifestInvalidError: the alias is not a valid name, ``who`` or ``why`` cannot be logged.
    """
    if alias == CHAMPION:
        return promote(registry, entry, release, force=force, who=who, why=why, expires=expires)
    return registry.set_alias(entry, alias, release, reason=Reason(who=who, why=why, expires=expires))


def delete(
    registry: Registry, entry: EntryName, alias: str, *, force: bool = False, who: str | None = None, why: str = ""
) -> Move:
    """Deletes an alias; its log stays, and `rollback` brings it back.

    Raises:
        PromotionError: it is `champion`, which `kdzoo.load` follows, and ``force`` is not set.
        ReleaseNotFoundError: there is no such alias.
        ConflictError: others moved it every time.
    """
    if alias == CHAMPION and not force:
        raise PromotionError(
            f"without {CHAMPION}, {entry} is loaded by alias or release alone",
            hint="to delete it all the same, add --force",
        )
    return registry.alias_log.delete(entry, alias, reason=Reason(action="delete", who=who, why=why))


def rollback(
    registry: Registry,
    entry: EntryName,
    alias: str = CHAMPION,
    *,
    who: str | None = None,
    why: str = "",
    expires: str | None = None,
) -> Alias:
    """Points an alias at the release before the present one, by its log; a deleted one at what it was.

    Two rollbacks in a row go back two releases; withdrawn releases are passed over.

    Args:
        registry: the zoo.
        entry: whose.
        alias: which.
        who: who does so, for the log; default this process's ``user@host``.
        why: one line for the log.
        expires: as in `promote`.

    Raises:
        EntryNotFoundError, ReleaseNotFoundError: there never was such an alias, or the release before is gone.
        PromotionError: there is no release before.
        ConflictError: somebody else moved the alias meanwhile.
    """
    present = registry.alias_log.present(entry, alias)
    moves = registry.alias_log.moves(entry, alias)
    if not moves:
        registry.read_alias(entry, alias)  # says what there is instead
    target = way_back(moves, without=registry.withdrawn.of(entry))
    if target is None:
        raise PromotionError(
            f"{alias} of {entry} has no release before this one", hint=f"its moves: kdzoo zoo history {entry}"
        )
    reason = Reason(action="rollback", who=who, why=why, expires=expires)
    return registry.set_alias(entry, alias, target, expected=present, reason=reason)


def weights_of(manifest: Manifest) -> str | None:
    """The sha256 of a release's weights; None where it has none."""
    ref = manifest.blobs.get("weights")
    return None if ref is None else ref.sha256


def _contended(entry: EntryName) -> ConflictError:
    return ConflictError(f"others moved it {_MOVES} times meanwhile", hint=f"kdzoo zoo history {entry}")
