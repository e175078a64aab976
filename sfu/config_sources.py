"""The configuration from its sources: what each says, checked, or one sentence that names the key.

Later sources win: built-in default < TOML file (`--config`) < environment (`STENTOR_HTTP_PORT`) < flag
(`--http-port`). Reading the file is the caller's part (`sfu.cli`).
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, get_origin

import msgspec

from sfu.config import ENVIRONMENT_PREFIX, SECRETS, Config, Field, fields

# Variables with our prefix that speak to the build and not to the server.
NOT_SETTINGS = frozenset({"STENTOR_SANITIZE"})
_BOOLEANS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

# A shorter one can be searched from a single credential.
TURN_SECRET_MIN = 16


class ConfigError(Exception):
    """A setting is unknown or not possible. The text is one sentence that names the key."""


def build(
    file: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Config:
    """The configuration from a parsed TOML file, the environment and flags (by key, such as "http.port").

    Raises ConfigError with one sentence that names the key.
    """
    known = {field.key: field for field in fields()}
    values: dict[str, Any] = {}
    for key, value in _flatten(file or {}):
        if key not in known:
            raise ConfigError(f"the configuration file sets {key}, which is not a setting")
        values[key] = value
    by_variable = {field.environment: field for field in known.values()}
    for variable, text in (environment or {}).items():
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in NOT_SETTINGS:
            if variable not in by_variable:
                raise ConfigError(f"the environment sets {variable}, which is not a setting")
            values[by_variable[variable].key] = _from_text(by_variable[variable], text)
    for key, text in (flags or {}).items():
        if key not in known:
            raise ConfigError(f"{key} is not a setting")
        values[key] = _from_text(known[key], text)
    return _checked(values)


def parse_toml(text: str) -> dict[str, Any]:
    """A configuration file's text as tables. Raises ConfigError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the configuration file is not TOML: {error}") from error


def _flatten(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in tables.items():
        if isinstance(value, Mapping):
            for inner, inner_value in value.items():
                yield f"{name}.{inner}", inner_value
        else:
            yield name, value


def _from_text(field: Field, text: str) -> Any:
    """A value as a flag or an environment variable writes it; lists are separated by commas."""
    if get_origin(field.type) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if field.type is bool:
        if text.lower() not in _BOOLEANS:
            raise ConfigError(f"{field.key} must be true or false, not {text!r}")
        return _BOOLEANS[text.lower()]
    if field.type in (int, float):
        try:
            return field.type(text)
        except ValueError as error:
            raise ConfigError(f"{field.key} must be a number, not {text!r}") from error
    return text


def _checked(values: Mapping[str, Any]) -> Config:
    sections: dict[str, Any] = {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        try:
            # One setting at a time, so that the sentence can name it.
            msgspec.convert({section: {name: value}} if section else {name: value}, Config)
        except msgspec.ValidationError as error:
            shown = "" if key in SECRETS else f" (it is {value!r})"
            raise ConfigError(f"{key} is not possible{shown}: {str(error).split(' - at')[0]}") from error
        if section:
            sections.setdefault(section, {})[name] = value
        else:
            sections[name] = value
    config = msgspec.convert(sections, Config)
    _check_addresses("media.addresses", config.media.addresses)
    for entry in config.media.announced:
        try:
            address_and_port(entry)
        except ValueError as error:
            raise ConfigError(f"media.announced holds {entry!r}: {error}") from error
    for network in config.http.metrics_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigError(f"http.metrics_networks holds {network!r}, which is not a network") from error
    for url in config.turn.urls:
        if not re.fullmatch(r"(stuns?|turns?):[^/@\s]+", url):
            raise ConfigError(f"turn.urls holds {url!r}, which is not like turn:host:3478?transport=udp")
    if any(url.startswith("turn") for url in config.turn.urls) and len(config.turn.secret) < TURN_SECRET_MIN:
        raise ConfigError(f"turn.secret needs at least {TURN_SECRET_MIN} characters: it is coturn's static-auth-secret")
    if bool(config.http.certificate_file) != bool(config.http.key_file):
        raise ConfigError("http.certificate_file and http.key_file go together: set both or none")
    if config.control.test_mode and not config.dev:
        raise ConfigError("control.test_mode stops the clock, which is for tests: it needs dev")
    if config.session.gone_s < config.session.resume_s:
        raise ConfigError("session.gone_s is smaller than session.resume_s")
    if config.uplink.url and not re.fullmatch(r"https?://[^/@\s]+/\S*", config.uplink.url):
        raise ConfigError("uplink.url is not like https://control.example/internal/usage")
    if config.uplink.url and not (config.uplink.token and config.uplink.file):
        raise ConfigError("uplink.url needs uplink.token and uplink.file")
    secrets = {
        "tokens.shared_key": config.tokens.shared_key,
        "api.token": config.api.token,
        "uplink.token": config.uplink.token,
    }
    for key, secret in secrets.items():
        if secret and len(secret) < 32:
            raise ConfigError(f"{key} is shorter than 32 characters and could be guessed")
    return config


def address_and_port(text: str) -> tuple[str, int | None]:
    """ "ip", "ip:port" or "[ip]:port" in parts; no port = None. Raises ValueError with words for the operator."""
    match = re.fullmatch(r"\[([^]]+)\](?::(\d{1,5}))?|([^:]+):(\d{1,5})|(.+)", text)
    if match is None:
        raise ValueError("write an IP address, or ip:port")
    address, port = match[1] or match[3] or match[5], match[2] or match[4]
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:
        raise ValueError("write an IP address, or ip:port; names are not looked up") from error
    if port is not None and not 0 < int(port) < 65536:
        raise ValueError("the port is not from 1 to 65535")
    return str(ip), int(port) if port else None


def _check_addresses(key: str, addresses: tuple[str, ...]) -> None:
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise ConfigError(f"{key} holds {address!r}, which is not an IP address") from error
