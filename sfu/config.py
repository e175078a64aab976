"""The configuration: one frozen value, read once at start (`sfu.config_sources`).

Every field says its unit and what happens when it is moved; the flags and `docs/configuration.md` are made from here
(`python -m sfu.config_page`, `--check` to compare).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from sfu.contract import SEATS_MAX, SENDERS_MAX, CameraCodec, Policy
from sfu.control import Billing, Control, Mail
from sfu.logs import Format
from sfu.worker_config import Audio, WorkerConfig

ENVIRONMENT_PREFIX = "STENTOR_"
HIDDEN = "(hidden)"

Port = Annotated[int, Meta(ge=0, le=65535)]


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one HTTP port: page, WebSocket, health checks, metrics."""

    host: Annotated[str, Meta(description="Address to listen on. 0.0.0.0 opens the server to the network.")] = (
        "127.0.0.1"
    )
    port: Annotated[Port, Meta(description="TCP port. 0 lets the system choose one.")] = 8080
    origins: Annotated[
        tuple[str, ...],
        Meta(description="Further origins (https://app.example) whose pages may call /ws, /whip, /whep. Our own may."),
    ] = ()
    metrics_networks: Annotated[
        tuple[str, ...],
        Meta(
            description="Networks (10.0.0.0/8) that may read /metrics and /debug besides loopback; "
            "the control plane's /metrics, too."
        ),
    ] = ()
    page: Annotated[bool, Meta(description="Serve the built-in page. --dev always does.")] = False
    certificate_file: Annotated[
        str, Meta(description="PEM file with a certificate and its chain: the port then speaks HTTPS and WSS.")
    ] = ""
    key_file: Annotated[str, Meta(description="PEM file with the certificate's key.")] = ""
    certificate_folder: Annotated[
        str, Meta(description="Where --lan keeps the certificate it makes. Empty: stentor in the user's data folder.")
    ] = ""


class Media(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where media comes in."""

    port: Annotated[Port, Meta(description="UDP port of the first worker; the next take the next ones.")] = 7000
    addresses: Annotated[
        tuple[str, ...], Meta(description="Local addresses to bind. Empty: every address of this machine.")
    ] = ()
    announced: Annotated[
        tuple[str, ...],
        Meta(description="Addresses told to clients (behind NAT): ip, ip:port or [ip]:port. Empty: the bound ones."),
    ] = ()
    workers: Annotated[int, Meta(ge=1, le=1, description="Media processes. One for now.")] = 1


class Tokens(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How join grants are signed and checked."""

    key_file: Annotated[
        str, Meta(description="PEM file with an Ed25519 key (public suffices to check), or a file with a shared key.")
    ] = ""
    shared_key: Annotated[
        str, Meta(description="Shared key (HS256) itself, at least 32 characters. Better given by environment.")
    ] = ""
    key_id: Annotated[str, Meta(min_length=1, description="`kid` that every token must carry.")] = "stentor-1"
    issuer: Annotated[str, Meta(min_length=1, description="`iss` that every token must carry.")] = "stentor"
    audience: Annotated[str, Meta(min_length=1, description="`aud` that every token must carry.")] = "stentor-sfu"


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The TURN servers (coturn with `use-auth-secret`) that clients are told of, for networks without UDP."""

    urls: Annotated[
        tuple[str, ...],
        Meta(description="As turn:host:3478?transport=udp, or tcp, or turns:host:5349; stun:host needs no secret."),
    ] = ()
    secret: Annotated[
        str, Meta(description="coturn's `static-auth-secret`, at least 16 characters. Better given by environment.")
    ] = ""
    lifetime_s: Annotated[
        float, Meta(ge=60, le=604_800, description="Seconds for which credentials hold. Shorter: long calls lose TURN.")
    ] = 86_400.0


class Api(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server API under /v1."""

    token: Annotated[
        str,
        Meta(description="Bearer for all rooms, at least 32 characters. Empty: only grants with `manage`."),
    ] = ""
    requests_per_s: Annotated[float, Meta(gt=0, description="Requests per second of one address, lasting.")] = 50.0
    requests_burst: Annotated[int, Meta(ge=1, description="Requests at once, on top.")] = 200


class Uplink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the control plane is told of rooms and their use. Off unless `url` is set."""

    url: Annotated[
        str, Meta(description="Where records are handed over (https://.../internal/usage). Empty: nothing is kept.")
    ] = ""
    token: Annotated[str, Meta(description="Bearer for it, at least 32 characters. Better given by environment.")] = ""
    file: Annotated[
        str, Meta(description="Where records wait until they are acknowledged (SQLite). One node, one file.")
    ] = "stentor-uplink.sqlite"
    report_s: Annotated[
        float,
        Meta(gt=0, le=3600, description="Seconds between reports. Raised: a crash of the node loses more of the use."),
    ] = 30.0
    kept_max: Annotated[
        int,
        Meta(ge=100, description="Records kept at most, 300 bytes each. Beyond it new ones are lost, and counted."),
    ] = 500_000


class Room(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a room is like unless a policy says otherwise."""

    seats: Annotated[
        int, Meta(ge=1, le=SEATS_MAX, description="Participants in one room; one more gets room_full.")
    ] = 40
    senders: Annotated[
        int, Meta(ge=0, le=SENDERS_MAX, description="Of the seats, those for participants who may publish.")
    ] = 40
    audience_visible: Annotated[
        bool, Meta(description="Everybody may read the names of the audience, not only moderators.")
    ] = False
    camera_codec: Annotated[
        CameraCodec,
        Meta(description="The one video codec of a room. A client without it sees no pictures; VP8 is in all of them."),
    ] = "VP8"
    audio_red: Annotated[
        bool,
        Meta(
            description="Ask for redundant audio (RED): lost packets are not heard, at twice the bit rate of sound. "
            "Off: only a client that offers it first sends it."
        ),
    ] = False

    def policy(self) -> Policy:
        """The policy of a room for which none was set."""
        return Policy(
            seats=self.seats,
            senders=self.senders,
            audience_visible=self.audience_visible,
            camera_codec=self.camera_codec,
            audio_red=self.audio_red,
        )


class Session(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a client counts as gone."""

    join_within_s: Annotated[
        float, Meta(gt=0, le=600, description="Seconds from the WebSocket's opening to `join`. Raised: idlers stay.")
    ] = 10.0
    connect_within_s: Annotated[
        float,
        Meta(gt=0, le=600, description="Seconds in which media of a WHIP or WHEP session must have come about."),
    ] = 20.0
    resume_s: Annotated[
        float, Meta(ge=0, le=3600, description="Seconds without WebSocket after which a silent client loses its seat.")
    ] = 15.0
    path_silent_s: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds without a datagram after which a media path is silent.")
    ] = 30.0
    gone_s: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds without WebSocket that end a session in any case.")
    ] = 60.0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a stranger can take at most. Beyond it he gets rate_limited or overloaded."""

    messages_per_s: Annotated[float, Meta(gt=0, description="Messages per second of one WebSocket, lasting.")] = 20.0
    messages_burst: Annotated[int, Meta(ge=1, description="Messages at once, on top. Below 10 joining suffers.")] = 80
    bytes_per_s: Annotated[
        float, Meta(gt=0, description="Bytes per second of a WebSocket, or of WHIP of an address.")
    ] = 131_072.0
    bytes_burst: Annotated[
        int, Meta(ge=540_672, description="Bytes at once, on top. One offer of 512 KiB must fit.")
    ] = 2_097_152
    sessions_per_address: Annotated[
        int,
        Meta(
            ge=1,
            description="WebSockets, and WHIP sessions, of one address. Offices share one: keep it high.",
        ),
    ] = 500
    failed_joins_per_s: Annotated[
        float,
        Meta(gt=0, description="Joins with a bad token, per second of one address, lasting. Raised: CPU for forgers."),
    ] = 50.0
    failed_joins_burst: Annotated[int, Meta(ge=1, description="Joins with a bad token at once, on top.")] = 200
    rooms: Annotated[int, Meta(ge=1, description="Rooms open at once.")] = 1000
    participants: Annotated[int, Meta(ge=1, description="Participants in all rooms together.")] = 4000
    busy_share: Annotated[
        float, Meta(gt=0, le=1, description="Above this share of a core used by the media kernel nobody new is let in.")
    ] = 0.8
    outgoing_messages: Annotated[
        int, Meta(ge=16, description="Messages waiting for one slow WebSocket before it is closed.")
    ] = 1000
    outgoing_bytes: Annotated[
        int, Meta(ge=1_048_576, description="Bytes waiting for one slow WebSocket before it is closed.")
    ] = 4_194_304


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written to standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least weight of what is logged.")
    ] = "info"
    format: Annotated[Format, Meta(description="text: words and key=value. json: one object a line.")] = "text"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    dev: Annotated[
        bool, Meta(description="Make tokens for anyone who asks, with a key made at start, and serve the page.")
    ] = False
    lan: Annotated[
        bool, Meta(description="Listen on every address, by HTTPS with a certificate of our own: cameras need it.")
    ] = False
    http: Http = Http()
    media: Media = Media()
    tokens: Tokens = Tokens()
    turn: Turn = Turn()
    api: Api = Api()
    uplink: Uplink = Uplink()
    room: Room = Room()
    audio: Audio = Audio()
    session: Session = Session()
    limits: Limits = Limits()
    log: Log = Log()
    control: Control = Control()
    mail: Mail = Mail()
    billing: Billing = Billing()


SECRETS = frozenset(
    {
        *("tokens.shared_key", "api.token", "turn.secret", "uplink.token", "control.database", "mail.password"),
        *("billing.stripe_secret_key", "billing.stripe_webhook_secret"),
    }
)


def worker_config(config: Config, number: int) -> WorkerConfig:
    """What worker `number` (0, 1, ...) is started with."""
    port = config.media.port + number if config.media.port else 0
    return WorkerConfig(
        number=number,
        addresses=config.media.addresses,
        port=port,
        audio=config.audio,
        path_silent_s=config.session.path_silent_s,
        log_level=config.log.level,
        log_format=config.log.format,
        dev=config.dev,
    )


class Field(msgspec.Struct, frozen=True):
    """One setting as the documentation and the flags see it."""

    key: str  # "http.port"
    type: Any
    default: Any
    description: str

    @property
    def environment(self) -> str:
        return ENVIRONMENT_PREFIX + self.key.replace(".", "_").upper()

    @property
    def flag(self) -> str:
        return "--" + self.key.replace(".", "-").replace("_", "-")


def fields() -> Iterator[Field]:
    """Every setting, in the order of the classes above."""
    for name, hint in get_type_hints(Config, include_extras=True).items():
        section = getattr(Config(), name)
        if isinstance(section, msgspec.Struct):
            for inner, inner_hint in get_type_hints(type(section), include_extras=True).items():
                yield Field(f"{name}.{inner}", _bare(inner_hint), getattr(section, inner), _description(inner_hint))
        else:
            yield Field(name, _bare(hint), section, _description(hint))


def _bare(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint


def _description(hint: Any) -> str:
    texts = [meta.description for meta in getattr(hint, "__metadata__", ()) if getattr(meta, "description", None)]
    return texts[-1] if texts else ""


def shown(config: Config) -> str:
    """The configuration as lines `key = value`, secrets hidden."""
    lines = []
    for field in fields():
        section, _, name = field.key.rpartition(".")
        value = getattr(getattr(config, section) if section else config, name)
        lines.append(f"{field.key} = {HIDDEN if field.key in SECRETS and value else value_text(value)}")
    return "\n".join(lines)


def value_text(value: Any) -> str:
    """A value as documents and logs show it."""
    return msgspec.json.encode(value).decode()
