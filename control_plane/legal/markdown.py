"""Bodies of legal texts: normalised, hashed, and rendered. Markdown by markdown-it-py, with HTML in it switched off."""

from __future__ import annotations

import functools
import hashlib
import itertools
import unicodedata
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from control_plane.errors import Invalid

# All texts in force in all languages: each is read at every visit, and never changes. Kept by its words, so that of a
# text which was changed nothing is.
KEPT = 64

# No pictures: a text that is saved must be whole.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


@dataclass(frozen=True)
class Chapter:
    anchor: str
    title: str


def normalised(body: str) -> str:
    """One spelling of the same text: NFC, line feeds, no space at line ends, one line feed at the end."""
    lines = unicodedata.normalize("NFC", body).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"


@functools.lru_cache(KEPT)
def body_hash(body: str) -> str:
    """SHA-256 of the normalised body in UTF-8, hexadecimal (LEG-01); `sha256sum` of a download gives the same."""
    return hashlib.sha256(normalised(body).encode()).hexdigest()


def title(body: str) -> str:
    """Its one heading of the first level. Raises Invalid."""
    found = _headings(_MARKDOWN.parse(body), "h1")
    if len(found) != 1:
        raise Invalid("bad_text", f"a legal text has one title, not {len(found)}", field="body")
    return found[0]


@functools.lru_cache(KEPT)
def chapters(body: str, anchors: tuple[str, ...]) -> tuple[Chapter, ...]:
    """Its headings of the second level with their anchors, which are the same in all languages (LEG-13).

    Raises Invalid unless there are as many of the one as of the other.
    """
    titles = _headings(_MARKDOWN.parse(body), "h2")
    if len(titles) != len(anchors):
        raise Invalid("bad_text", f"{len(titles)} chapters for {len(anchors)} anchors", field="body")
    return tuple(Chapter(anchor, title) for anchor, title in zip(anchors, titles, strict=True))


@functools.lru_cache(KEPT)
def html(body: str, anchors: tuple[str, ...]) -> str:
    """A fragment of HTML with an id at every chapter. Safe to put into a page as it is."""
    tokens = _MARKDOWN.parse(body)
    headings = (token for token in tokens if token.type == "heading_open" and token.tag == "h2")
    for token, anchor in zip(headings, anchors, strict=True):
        token.attrSet("id", anchor)
    return str(_MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}))


def _headings(tokens: list[Token], tag: str) -> list[str]:
    """Their words alone, without emphasis and the like."""
    inline = [after for token, after in itertools.pairwise(tokens) if token.type == "heading_open" and token.tag == tag]
    return ["".join(child.content for child in token.children or []) for token in inline]
