"""A mail as values, and what becomes of it: text and HTML in a language, as bytes that are the same at every try.

Nothing that a person has given can become a header: addresses and names are checked, a subject is one line. Templates
are templates/<name>.txt (with a block `subject`) and templates/<name>.html; a template of another area is a pair of
files there. English is in the templates; other languages are catalogues (control_plane.translations), and a sentence
that a catalogue does not have is English.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import jinja2

from control_plane import translations
from control_plane.errors import Invalid

FOLDER = Path(__file__).parent
# RFC 5321: a path has at most 256 bytes with its brackets, a local part 64.
ADDRESS_MAX, LOCAL_MAX, NAME_MAX, VALUE_MAX, SUBJECT_MAX = 254, 64, 200, 5000, 300
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)*{_LABEL})")
_TEMPLATE = re.compile(r"[a-z][a-z0-9_]{0,60}")
_LANGUAGE = re.compile(r"[a-z]{2}(?:[_-][A-Z]{2})?")
# Everything that ends a line or hides something: control signs, Unicode's line ends, marks that turn the direction.
_HIDDEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")
# In a text a line may end and a word may be set apart.
_HIDDEN_IN_TEXT = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")


@dataclass(frozen=True)
class Mail:
    """What to tell whom. Raises Invalid (bad_address, bad_name) and ValueError for a template, a language or a value
    that cannot be. `to` is one address in ASCII (a domain of other letters in its xn-- form); `language` as in "en",
    "pt_BR"."""

    to: str
    template: str
    language: str
    values: Mapping[str, str | int] = field(default_factory=dict)
    name: str = ""

    def __post_init__(self) -> None:
        check_address(self.to)
        check_name(self.name)
        if not _TEMPLATE.fullmatch(self.template) or not _LANGUAGE.fullmatch(self.language):
            raise ValueError("a template or a language is a plain word")
        for key, value in self.values.items():
            if not key.isidentifier() or not isinstance(value, str | int):
                raise ValueError(f"the value {key!r} is neither words nor a whole number")
            if isinstance(value, str) and (len(value) > VALUE_MAX or _HIDDEN_IN_TEXT.search(value)):
                raise ValueError(f"the value {key!r} is too long or holds control signs")


@dataclass(frozen=True)
class Sender:
    """Who writes: address and name of the operator, and the domain of message ids."""

    address: str
    name: str = ""

    def __post_init__(self) -> None:
        check_address(self.address)
        check_name(self.name)

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def check_address(address: str) -> None:
    """Raises Invalid (bad_address) unless mail can go there and nowhere else."""
    found = _ADDRESS.fullmatch(address) if len(address) <= ADDRESS_MAX else None
    if found is None or len(found[1]) > LOCAL_MAX:
        raise Invalid("bad_address", "this is no e-mail address", field="email")


def check_name(name: str) -> None:
    """Raises Invalid (bad_name) for a name that could be more than a name."""
    if len(name) > NAME_MAX or _HIDDEN.search(name):
        raise Invalid("bad_name", "at most 200 letters in one line", field="name")


@dataclass(frozen=True)
class Written:
    """A mail in the words of its language: all of it that can fail."""

    to: Address
    subject: str
    text: str
    html: str


def write(mail: Mail, area: Path = FOLDER) -> Written:
    """Raises jinja2.UndefinedError for a value that is missing, ValueError for a subject of more than one line. `area`:
    the folder with other catalogues."""
    texts = _templates(mail.language, area)
    template = texts.get_template(f"{mail.template}.txt")
    context = template.new_context(dict(mail.values))
    subject = "".join(template.blocks["subject"](context)).strip()
    if not 0 < len(subject) <= SUBJECT_MAX or _HIDDEN.search(subject):
        raise ValueError("a subject is one line")
    values = {**mail.values, "language": mail.language.replace("_", "-"), "subject": subject}
    return Written(
        _header(mail.to, mail.name),
        subject,
        "".join(template.blocks["body"](context)).strip() + "\n",
        texts.get_template(f"{mail.template}.html").render(values),
    )


def compose(mail: Mail, sender: Sender, *, key: str, at: datetime.datetime, area: Path = FOLDER) -> EmailMessage:
    """The message. `key` gives it its Message-ID, so that a mail which left twice can be seen to be one; `at` is when
    it was written. Raises what `write` raises."""
    written = write(mail, area)
    message = EmailMessage(policy=_POLICY)
    message["From"] = _header(sender.address, sender.name)
    message["To"] = written.to
    message["Subject"] = written.subject
    message["Date"] = at
    mark = hashlib.sha256(key.encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{mark}@{sender.domain}>"
    # No holiday notes back, please (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(written.text)
    message.make_alternative(boundary=f"part-{mark}")
    message.add_alternative(written.html, subtype="html")
    message["Content-Language"] = mail.language.replace("_", "-")
    return message


class _Headers(HeaderRegistry):
    """The library makes a class anew for every header of every mail, and reads again what every mail says: both was
    half of the time of a mail."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Any] = {}
        self._kept = functools.lru_cache(HEADERS_KEPT)(super().__call__)

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = super().__getitem__(name)
        return self._made[name]

    def __call__(self, name: str, value: Any) -> Any:
        # A header that was read never changes, so mails may share it.
        kept = name.lower() in _SAY_NOBODY and isinstance(value, str)
        return self._kept(name, value) if kept else super().__call__(name, value)


# Headers without anything of a person in them, nearly all alike in all mails.
_SAY_NOBODY = frozenset(
    ("mime-version", "content-type", "content-transfer-encoding", "auto-submitted", "content-language")
)
HEADERS_KEPT = 64
# The names of headers are those in this module.
_POLICY = SMTP.clone(header_factory=_Headers())


def _header(address: str, name: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)


@functools.cache
def _templates(language: str, area: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        extensions=["jinja2.ext.i18n"],
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # they come with the program
        # Not trim_blocks: it would take the empty lines out of a text.
    )
    found = translations.of(area, language.replace("-", "_"))
    environment.install_gettext_translations(found, newstyle=True)  # type: ignore[attr-defined]
    return environment
