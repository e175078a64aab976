"""[I/O] The one place where `stentor doctor` looks at the machine. Judges nothing."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TypeVar

import msgspec

from sfu import __version__, certificate, companion
from sfu.config import Config
from sfu.control import Examine, Examined
from sfu.doctor import ControlFacts, Facts
from sfu.probed import Probe
from sfu.serve import StartError, certificate_files, hosts, listen, token_key
from sfu.signalling.announced import candidates

# A machine on which the worker's modules take longer to load has other troubles; they are told as such.
PROBE_WITHIN_S = 30.0
ANSWER_WITHIN_S = 2.0
STA_UNSYNC = 0x40  # <sys/timex.h>

T = TypeVar("T")


def facts(config: Config) -> Facts:
    """Everything that the checks need to know. Binds and frees ports; changes nothing."""
    unix_s, monotonic_s = time.time(), time.monotonic()
    probe, probe_error = _probe(config)
    http_error = _http_error(config)
    certificate_error, certificate_days = _certificate(config)
    apart_s = (time.time() - unix_s) - (time.monotonic() - monotonic_s)
    bound = [(one.address, one.port) for one in probe.sockets] if probe is not None else []
    return Facts(
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        machine=platform.machine(),
        linux=_linux(platform.release()),
        stentor=__version__,
        processors=len(os.sched_getaffinity(0)),
        http_host=hosts(config)[0],
        http_port=config.http.port,
        http_error=http_error,
        http_answers=bool(http_error) and _answers(config),
        dev=config.dev,
        token_error=_token_error(config),
        probe=probe,
        probe_error=probe_error,
        media_port=config.media.port,
        announced=tuple((told.address, told.port) for told in candidates(bound, config.media.announced, "")),
        files_max=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        participants_max=config.limits.participants,
        receive_buffer_max=_number("/proc/sys/net/core/rmem_max"),
        send_buffer_max=_number("/proc/sys/net/core/wmem_max"),
        clock_s=unix_s,
        clock_step_s=apart_s,
        monotonic_backwards=time.monotonic() < monotonic_s,
        clock_synchronised=_synchronised(),
        certificate_error=certificate_error,
        certificate_days=certificate_days,
        clock_source=_text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        control=_control(config) if companion.wanted(config) else None,
    )


def _control(config: Config) -> ControlFacts:
    error = ""
    try:
        companion.listen(config).close()
    except companion.CannotListen as refused:
        error = str(refused)
    try:
        key_can_sign = token_key(config).can_sign
    except StartError:  # which the check of the key says
        key_can_sign = True
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.control.host, config.control.host)
    examined, examined_error = _examined(config)
    return ControlFacts(
        host=config.control.host,
        port=config.control.port,
        port_error=error,
        answers=bool(error) and _says_ok(f"http://{companion.in_url(host)}:{config.control.port}/healthz"),
        url=config.control.url,
        test_mode=config.control.test_mode,
        mail_host=config.mail.host,
        mail_sender=config.mail.sender,
        key_can_sign=key_can_sign,
        examined=examined,
        examined_error=examined_error,
    )


def _examined(config: Config) -> tuple[Examined | None, str]:
    """What the control plane's side found, or why it did not answer. It is told by a pipe: the database is a secret."""
    try:
        told = Examine(config.control.database, str(companion.folder_of(config)))
    except RuntimeError as error:
        return None, str(error)
    return _ask([sys.executable, "-m", "control_plane", "probe"], Examined, msgspec.json.encode(told) + b"\n")


def _probe(config: Config) -> tuple[Probe | None, str]:
    """What the worker's side found, or why it did not answer."""
    command = [sys.executable, "-m", "sfu.probe", "--port", str(config.media.port)]
    for address in config.media.addresses:
        command += ["--address", address]
    return _ask(command, Probe)


def _ask(command: list[str], answer: type[T], told: bytes = b"") -> tuple[T | None, str]:
    """What a program of ours prints as JSON, or why there is nothing."""
    try:
        done = subprocess.run(command, input=told, capture_output=True, timeout=PROBE_WITHIN_S, check=False)
        if done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            return None, f"ended with code {done.returncode}: {last[0]}"
        return msgspec.json.decode(done.stdout, type=answer), ""
    except subprocess.TimeoutExpired:
        return None, f"not within {PROBE_WITHIN_S:g} s"
    except (OSError, msgspec.MsgspecError) as error:
        return None, str(error)


def _http_error(config: Config) -> str:
    try:
        with contextlib.ExitStack() as closing:
            for bound in [closing.enter_context(one) for one in listen(config)]:
                bound.listen()
    except (StartError, OSError) as error:
        return str(error)
    return ""


def _answers(config: Config) -> bool:
    """Whether a Stentor is at our HTTP port already."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(hosts(config)[0], config.http.host)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    encrypted = config.lan or bool(config.http.certificate_file)
    return _says_ok(f"{'https' if encrypted else 'http'}://{host}:{config.http.port}/healthz")


def _says_ok(address: str) -> bool:
    # No proxy: this is about this machine.
    door = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_believing())
    )
    try:
        with door.open(address, timeout=ANSWER_WITHIN_S) as answer:
            return bool(answer.read(16) == b"ok\n")
    except (OSError, ValueError):
        return False


def _believing() -> ssl.SSLContext:
    """TLS with whoever is there: the question is only whether a Stentor answers, and it is told nothing."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _certificate(config: Config) -> tuple[str, int | None]:
    """Why the HTTP port's certificate cannot be used, and how many days it lasts; None without one."""
    try:
        files = certificate_files(config)
        if files is None:
            return "", None
        return "", certificate.days_left(files.certificate, certificate.now_utc(time.time()))
    except (StartError, OSError, ValueError) as error:
        return str(error), None


def _token_error(config: Config) -> str:
    try:
        token_key(config)
    except StartError as error:
        return str(error)
    return ""


def _linux(release: str) -> tuple[int, int]:
    """(5, 10) of "5.10.0-28-amd64"; (0, 0) of what is no such text."""
    parts = release.split("-")[0].split(".")
    with contextlib.suppress(ValueError, IndexError):
        return int(parts[0]), int(parts[1])
    return 0, 0


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _number(path: str) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


class _Timex(ctypes.Structure):
    """The head of `struct timex` (adjtimex(2)), and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("maximum_error", ctypes.c_long),
        ("estimated_error", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def _synchronised() -> bool | None:
    """Whether the system says that its clock follows another; None where it may not be asked."""
    asked = _Timex()
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return None
    return None if answer == -1 else not asked.status & STA_UNSYNC
