"""The words of this area: kinds of texts, what is part of what, means of acceptance, languages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

# "integration" and "beta" carry an acceptance of their own (LEG-08); the others are the legal page (LEG-13).
Kind = Literal["terms", "privacy", "processing", "affiliate", "integration", "beta"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# LEG-13: three texts with chapters; the processing agreement is reached beside them (PRV-52).
ON_THE_PAGE: tuple[Kind, ...] = ("privacy", "terms", "affiliate", "processing")
# LEG-07: who accepts the terms accepts these, each in its own version.
PARTS: dict[Kind, tuple[Kind, ...]] = {"terms": ("privacy", "processing")}

# How a text was accepted (LEG-02). "use" is what a notice becomes by going on (LEG-04); "document" is an order on paper
# that staff enters (ACC-24); "partner" a trial through somebody else (ACC-13).
Means = Literal[
    "sign_up", "api", "partner", "subscribe", "purchase", "account", "document", "use", "integration", "beta"
]
MEANS: tuple[Means, ...] = get_args(Means)

# PROD-20. A text that is not there in a language is shown in the first one, and says so.
LANGUAGES = ("en", "pl", "de", "ru", "es", "fr", "it", "pt_BR")
ORIGINAL = LANGUAGES[0]
_ALIASES = {"br": "pt_BR", "pt": "pt_BR"}


def known_language(wish: str) -> str | None:
    """Ours for a wish such as "pl", "pt-BR", "de_AT" or the code "br"; None for what we do not have."""
    code = wish.replace("-", "_").lower()
    ours = {language.lower(): language for language in LANGUAGES} | _ALIASES
    return ours.get(code) or ours.get(code.partition("_")[0])


def language_of(wish: str) -> str:
    """The same, and the first of ours for what we do not have."""
    return known_language(wish) or ORIGINAL


def with_parts(kinds: Iterable[Kind]) -> tuple[Kind, ...]:
    """These and what is part of them, each once, in the order given."""
    found: dict[Kind, None] = {}
    for kind in kinds:
        found.update(dict.fromkeys((kind, *PARTS.get(kind, ()))))
    return tuple(found)
