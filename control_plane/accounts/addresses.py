"""E-mail addresses, names and slugs: what is the same, and what only looks the same. Pure.

Two normal forms of an address, and they must not be mixed up. `sign_in_key` is for finding a person: letter case,
Unicode form and the spelling of the domain do not matter, everything else does. `free_account_key` is for the question
whether somebody had his free account already (ACC-04): there "+tag" and dots before the @ do not matter either.
"""

from __future__ import annotations

import functools
import re
import unicodedata

import idna
from confusable_homoglyphs import confusables

from control_plane.errors import Invalid

# RFC 5321 4.5.3.1: 64 before the @, 254 in all.
EMAIL_CHARACTERS_MAX = 254
LOCAL_CHARACTERS_MAX = 64
NAME_CHARACTERS_MAX = 100
SLUG_CHARACTERS = range(3, 41)
TAX_NUMBER_CHARACTERS_MAX = 30

# One provider under two names.
_SAME_DOMAIN = {"googlemail.com": "gmail.com"}
_LOCAL = re.compile(r"[^\s@\"(),:;<>\[\\\]]+")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# Addresses of pages and words that would let an account speak for the operator.
_RESERVED_WORDS = """
    about abuse account accounts admin administrator api app assets billing blog contact dashboard dev docs
    events health help home imprint index join legal login logout mail me metrics new null official oidc
    pages postmaster press privacy profile profiles register root security settings sign-in sign-out sign-up
    signin signup staff static status stentor support system team terms test undefined verify webmaster www
"""
RESERVED = frozenset(_RESERVED_WORDS.split())
# These alone would let a name speak for the operator; the others of the list are common words.
_IMPERSONATING = frozenset(("admin", "administrator", "stentor", "stentor-support", "support"))


def email(typed: str) -> str:
    """The address as mail is sent to it: trimmed, NFKC. Raises Invalid with field `email`."""
    address = unicodedata.normalize("NFKC", typed.strip())
    local, at, domain = address.rpartition("@")
    if not at or len(address) > EMAIL_CHARACTERS_MAX or not 0 < len(local) <= LOCAL_CHARACTERS_MAX:
        raise _bad_email()
    # A dot at an end or two in a row is not an address without quotes; control characters would reach mail headers.
    if not _LOCAL.fullmatch(local) or ".." in local or local[0] == "." or local[-1] == "." or _unprintable(local):
        raise _bad_email()
    return f"{local}@{_domain(domain)}"


def sign_in_key(typed: str) -> str:
    """The normal form that finds a person (ACC-01). Raises Invalid."""
    return unicodedata.normalize("NFKC", email(typed).casefold())


def free_account_key(typed: str) -> str:
    """The normal form of the one free account (ACC-04). Never for signing in: jane+a@ and jane@ may be two people."""
    local, _, domain = sign_in_key(typed).rpartition("@")
    bare = local.split("+", 1)[0].replace(".", "") or local
    return f"{bare}@{_SAME_DOMAIN.get(domain, domain)}"


def tax_number(typed: str) -> str:
    """Letters and digits only, upper case; "" for none. Raises Invalid with field `tax_number`."""
    number = re.sub(r"[\s.\-/]", "", unicodedata.normalize("NFKC", typed)).upper()
    if number and not (re.fullmatch(r"[A-Z0-9]+", number) and 4 <= len(number) <= TAX_NUMBER_CHARACTERS_MAX):
        raise Invalid("tax_number_malformed", "a tax number has letters and digits", field="tax_number")
    return number


def name(typed: str, field: str) -> str:
    """A person's or business's name: NFC, trimmed. Refused: control and invisible characters, words that mix scripts
    which look alike, and what reads as the operator's own name. Raises Invalid."""
    text = unicodedata.normalize("NFC", typed.strip())
    if len(text) > NAME_CHARACTERS_MAX:
        raise Invalid("too_long", f"at most {NAME_CHARACTERS_MAX} characters", field=field)
    if _unprintable(text):
        raise Invalid("invisible_characters", "there are characters in it that cannot be seen", field=field)
    if any(_mixes_scripts(word) for word in text.split()):
        raise Invalid("mixed_scripts", "letters of different scripts in one word look like another word", field=field)
    if skeleton("-".join(text.split())) in {skeleton(word) for word in _IMPERSONATING}:
        raise Invalid("name_reserved", "this name is the operator's", field=field)
    return text


def slug(typed: str) -> str:
    """The unique part of an account's address (PROD-30). Raises Invalid with field `slug`."""
    text = typed.strip().lower()
    if len(text) not in SLUG_CHARACTERS or not _SLUG.fullmatch(text):
        raise Invalid("slug_malformed", "3 to 40 of a-z, 0-9 and single hyphens between them", field="slug")
    if text in RESERVED or skeleton(text) in {skeleton(word) for word in RESERVED}:
        raise Invalid("slug_reserved", "this name is taken", field="slug")
    return text


@functools.lru_cache(maxsize=4096)
def skeleton(text: str) -> str:
    """What `text` looks like: two texts with one skeleton cannot be told apart at a glance (after UTS 39)."""
    seen = "".join(_look(character) for character in unicodedata.normalize("NFKD", text).casefold())
    plain = seen.translate(_ALIKE).replace("-", "").replace("rn", "m").replace("vv", "w").replace("cl", "d")
    return plain


# Alike in the fonts of address bars, which UTS 39 does not count within ASCII.
_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l", "5": "s", "_": "-"})


def _look(character: str) -> str:
    """The ASCII that a character looks like, or itself; accents and other marks are dropped."""
    if character.isascii():
        return character
    if unicodedata.combining(character):
        return ""
    for found in confusables.is_confusable(character, preferred_aliases=[]) or ():
        for alike in found["homoglyphs"]:
            if alike["c"].isascii() and alike["c"].isalnum():
                return str(alike["c"]).lower()
    return character


_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")  # those that share shapes


def _mixes_scripts(word: str) -> bool:
    scripts = {
        script
        for letter in word
        if letter.isalpha()
        for script in _SCRIPTS
        if unicodedata.name(letter, "").startswith(script)
    }
    return len(scripts) > 1


def _unprintable(text: str) -> bool:
    return any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for character in text)


def _domain(domain: str) -> str:
    try:
        ascii_domain = idna.encode(domain, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise _bad_email() from None
    if "." not in ascii_domain or ascii_domain.rpartition(".")[2].isdigit() or ascii_domain.endswith("."):
        raise _bad_email()
    return ascii_domain


def _bad_email() -> Invalid:
    return Invalid("email_malformed", "this is not an e-mail address", field="email")
