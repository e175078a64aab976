"""Time-limited TURN credentials as coturn's `use-auth-secret` checks them (draft-uberti-behave-turn-rest-00). Pure.

The user name is the unix time at which it ends and who it is for; the password is its HMAC-SHA1 under the secret that
both servers know. The TURN server needs to be told of nobody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from sfu.config import Turn
from sfu.signalling.messages import IceServer


def ice_servers(config: Turn, participant: str, unix_time: float) -> list[IceServer]:
    """What a participant may use; [] where no TURN server is configured. STUN needs no credentials, TURN does."""
    stun = [url for url in config.urls if url.startswith("stun")]
    turn = [url for url in config.urls if url.startswith("turn")]
    servers = [IceServer(urls=stun)] if stun else []
    if turn:
        username = f"{int(unix_time + config.lifetime_s)}:{participant}"
        digest = hmac.digest(config.secret.encode(), username.encode(), hashlib.sha1)
        servers.append(IceServer(urls=turn, username=username, credential=base64.b64encode(digest).decode()))
    return servers
