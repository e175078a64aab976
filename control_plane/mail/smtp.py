"""[I/O] Mail by SMTP. One connection a mail: they are few, and none is held open for a server that went away."""

from __future__ import annotations

import re
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal

from control_plane.running.outbox import Letter, Refused

# Codes by which a server says that this person's mailbox does not exist or does not take mail. The same codes with an
# enhanced 5.7 are about us (relaying, policy): those are tried again, for our own mistake must lose no mail.
_NO_SUCH_MAILBOX = frozenset({550, 551, 553})
_ABOUT_US = re.compile(rb"^5\.7\.")


@dataclass(frozen=True)
class Smtp:
    """A server. `security`: "tls" from the first byte, "starttls" and never without, "none" for a server on this
    machine. `trusted` is a file of certificates beside the system's. `timeout_s` is for each step of the talk."""

    host: str
    port: int = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: str = ""
    password: str = field(default="", repr=False)
    timeout_s: float = 8.0
    trusted: str | None = None

    def __post_init__(self) -> None:
        if self.user and self.security == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("a password does not go over the network in the clear")

    def post(self, message: EmailMessage, letter: Letter) -> None:
        """Returns when the server has taken it. Raises Refused when there is no such mailbox, and what smtplib, ssl and
        sockets raise when it should be tried again."""
        with self._connect() as server:
            if self.user:
                server.login(self.user, self.password)
            try:
                server.send_message(message)
            except smtplib.SMTPRecipientsRefused as refusal:
                ((code, words),) = refusal.recipients.values()
                if code in _NO_SUCH_MAILBOX and not _ABOUT_US.match(words):
                    raise Refused(f"smtp_{code}") from None
                raise

    def _connect(self) -> smtplib.SMTP:
        context = ssl.create_default_context(cafile=self.trusted)
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
        if self.security == "starttls":
            try:
                # Raises when the server does not offer it: nothing goes in the clear then.
                server.starttls(context=context)
            except BaseException:
                server.close()
                raise
        return server
