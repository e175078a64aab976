"""Versions of legal texts: published once, never changed, and found for any date (LEG-01, LEG-06)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from control_plane.errors import Conflict, Internal, Invalid, NotFound
from control_plane.legal import markdown
from control_plane.legal.kinds import KINDS, LANGUAGES, ORIGINAL, Kind, language_of
from control_plane.legal.tables import texts
from control_plane.running import jobs

# Long enough for any contract; the pages of a text are made anew at every call.
BODY_CHARACTERS_MAX = 200_000
_ANCHOR = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True)
class Edition:
    """One version of a text in one language, as it is written for publishing."""

    kind: Kind
    version: str  # its date, YYYY-MM-DD
    language: str
    body: str
    anchors: tuple[str, ...]
    names_fees: bool = False


@dataclass(frozen=True)
class Heading:
    """A published text without its words: what a notice or a list says of it."""

    kind: str
    version: str
    language: str
    title: str
    names_fees: bool

    @property
    def address(self) -> str:
        """Where it can always be found (LEG-06)."""
        return f"/legal/{self.kind}/{self.version}/{self.language}"


@dataclass(frozen=True)
class Text(Heading):
    """A published text."""

    body: str
    body_hash: str
    anchors: tuple[str, ...]
    in_force_at: datetime.datetime
    published_at: datetime.datetime

    @property
    def chapters(self) -> tuple[markdown.Chapter, ...]:
        return markdown.chapters(self.body, self.anchors)

    @property
    def html(self) -> str:
        return markdown.html(self.body, self.anchors)


def publish(connection: sa.Connection, now: datetime.datetime, editions: Iterable[Edition]) -> list[tuple[Kind, str]]:
    """Add what is not there yet; the new versions by kind. Twice the same does nothing. A version that changes an
    earlier one is announced to customers by jobs that are put in this very transaction (legal.announcing).

    A version is in force from its date (midnight UTC), but never from before it was published, except for the first
    ones of a kind: they are its history. Raises Conflict for a text that is published with other words, or a version
    from before the newest one; Invalid for a text that is not whole (LEG-13).
    """
    ordered = sorted(editions, key=lambda edition: (edition.kind, edition.version, edition.language != ORIGINAL))
    newest_before = {kind: _newest(connection, kind) for kind in KINDS}
    new: dict[tuple[Kind, str], None] = {}
    for edition in ordered:
        _check(edition)
        siblings = editions_of(connection, edition.kind, edition.version)
        body = markdown.normalised(edition.body)
        if edition.language in siblings:
            if siblings[edition.language].body_hash != markdown.body_hash(body):
                raise Conflict("text_published", f"{_name(edition)} is published; other words need another version")
            continue
        if not siblings:
            if edition.language != ORIGINAL:
                raise Invalid("bad_text", f"{_name(edition)} is not there in {ORIGINAL!r}", field="language")
            if edition.version < newest_before[edition.kind]:
                raise Conflict("text_too_old", f"{_name(edition)} is older than what is in force already")
            in_force_at = _midnight(edition.version)
            if newest_before[edition.kind]:
                in_force_at = max(in_force_at, now)
            new[edition.kind, edition.version] = None
        else:
            original = siblings[ORIGINAL]
            in_force_at = original.in_force_at
            if original.anchors != edition.anchors:
                raise Invalid("bad_text", f"{_name(edition)} has other anchors than in {ORIGINAL!r}", field="anchors")
        connection.execute(
            texts.insert().values(
                kind=edition.kind,
                version=edition.version,
                language=edition.language,
                title=markdown.title(body),
                body=body,
                body_hash=markdown.body_hash(body),
                anchors=" ".join(edition.anchors),
                names_fees=edition.names_fees,
                in_force_at=in_force_at,
                published_at=now,
            )
        )
    for kind, version in new:
        if newest_before[kind]:
            _announce_later(connection, now, shown(connection, kind, version, ORIGINAL))
    return list(new)


def in_force(connection: sa.Connection, kind: str, language: str, at: datetime.datetime) -> Text:
    """The text for new customers at that instant, in this language or else in the original. Raises NotFound.

    For a customer of before, see notices.binding: a change comes into force for everybody at another time.
    """
    asked = (
        sa.select(texts.c.version)
        .where(texts.c.kind == kind, texts.c.in_force_at <= at)
        .order_by(texts.c.in_force_at.desc(), texts.c.version.desc())
        .limit(1)
    )
    version = connection.scalar(asked)
    if version is None:
        raise NotFound("no_text", "there was no such text at that time")
    rows = editions_of(connection, kind, version)
    return rows.get(language_of(language)) or rows[ORIGINAL]


def shown(connection: sa.Connection, kind: str, version: str, language: str) -> Text:
    """Exactly this one. Raises NotFound."""
    found = editions_of(connection, kind, version).get(language)
    if found is None:
        raise NotFound("no_text", "there is no such text")
    return found


def headings(connection: sa.Connection, versions: Iterable[str], language: str) -> list[Heading]:
    """Of these versions of all kinds, in this language or else in the original."""
    columns = (texts.c.kind, texts.c.version, texts.c.language, texts.c.title, texts.c.names_fees)
    wanted = {language_of(language), ORIGINAL}
    asked = sa.select(*columns).where(texts.c.version.in_(sorted(set(versions))), texts.c.language.in_(wanted))
    found = {}
    for heading in sorted(
        (Heading(*row) for row in connection.execute(asked)), key=lambda one: one.language != ORIGINAL
    ):
        found[heading.kind, heading.version] = heading
    return list(found.values())


def editions_of(connection: sa.Connection, kind: str, version: str) -> dict[str, Text]:
    """One version by language; empty if there is none."""
    asked = sa.select(texts).where(texts.c.kind == kind, texts.c.version == version)
    return {row.language: _text(row) for row in connection.execute(asked)}


def all_versions(connection: sa.Connection) -> list[Text]:
    """All that was ever published: by kind, the newest first, the original before translations."""
    found = [_text(row) for row in connection.execute(sa.select(texts))]
    found.sort(key=lambda text: LANGUAGES.index(text.language))
    found.sort(key=lambda text: text.version, reverse=True)
    return sorted(found, key=lambda text: KINDS.index(text.kind))


def _announce_later(connection: sa.Connection, now: datetime.datetime, text: Text) -> None:
    """Twice for one that is published in advance: who signs up before its date accepts the earlier version as well, and
    is told when the date has come."""
    rounds = {"published": now, "in_force": text.in_force_at}
    for round_, due_at in rounds.items():
        if round_ == "published" or due_at > now:
            jobs.put(
                connection,
                kind="legal.announce",
                key=f"legal.announce:{text.kind}:{text.version}:{round_}",
                due_at=due_at,
                account=None,
                payload={
                    "kind": text.kind,
                    "version": text.version,
                    "round": round_,
                    "until": due_at.isoformat(),
                    "number": 0,
                    "after": "",
                },
            )


def _check(edition: Edition) -> None:
    if edition.kind not in KINDS or edition.language not in LANGUAGES:
        raise Invalid("bad_text", f"{_name(edition)} is of no kind or language of ours", field="kind")
    _midnight(edition.version)
    if len(edition.body) > BODY_CHARACTERS_MAX:
        raise Invalid("bad_text", f"{_name(edition)} is longer than {BODY_CHARACTERS_MAX} characters", field="body")
    if len(set(edition.anchors)) != len(edition.anchors) or not all(map(_ANCHOR.fullmatch, edition.anchors)):
        raise Invalid(
            "bad_text", f"anchors of {_name(edition)} are not small letters, or twice the same", field="anchors"
        )
    markdown.title(edition.body)
    markdown.chapters(edition.body, edition.anchors)


def _midnight(version: str) -> datetime.datetime:
    """The beginning of that day, UTC. Raises Invalid for what is no date written YYYY-MM-DD."""
    try:
        day = datetime.date.fromisoformat(version)
    except ValueError:
        day = None
    if day is None or day.isoformat() != version:
        raise Invalid("bad_version", f"{version!r} is no date written YYYY-MM-DD", field="version")
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC)


def _name(edition: Edition) -> str:
    return f"{edition.kind} of {edition.version} ({edition.language})"


def _newest(connection: sa.Connection, kind: str) -> str:
    return connection.scalar(sa.select(sa.func.max(texts.c.version)).where(texts.c.kind == kind)) or ""


def _text(row: sa.Row[tuple[object, ...]]) -> Text:
    values = dict(row._mapping)
    text = Text(**{**values, "anchors": tuple(values["anchors"].split())})
    if markdown.body_hash(text.body) != text.body_hash:
        # Triggers refuse a change through this door; this finds one through another.
        raise Internal("text_changed", f"{text.address} is not the text that was published")
    return text
