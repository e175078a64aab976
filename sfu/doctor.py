"""`stentor doctor`: what is wrong with this machine and what to do. Pure: facts in, findings out.

The facts are gathered in one place, `sfu.machine`. Every check is one function in CHECKS; each says one or more
lines, ok, warn or fail. warn: it works, and less well than it could. fail: it will not work.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from sfu.control import Examined
from sfu.probed import Probe

Verdict = Literal["ok", "warn", "fail"]

PYTHON_MIN = (3, 11)
LINUX_MIN = (5, 10)
# Each WebSocket is a file descriptor; what else the node opens is below this.
FILES_BESIDE_SOCKETS = 200
# Between two looks at the clocks. NTP slews by at most 0.5 ms a second, so more than this is a step.
CLOCK_STEP_S = 0.05
# A machine whose clock stands before this has lost it: grants would not hold. It is 2025-01-01.
CLOCK_MIN_S = 1_735_689_600
# One packet of 1,200 bytes. Slower than this, and AES is not done by the processor itself.
SEAL_NS_MAX = 5_000
# Authorities that renew by themselves do so 30 days before the end; with less left, that does not work here.
CERTIFICATE_DAYS_MIN = 14
# Older ones lack what the control plane's tables ask for, and are no longer mended.
POSTGRESQL_MIN = 15
# SQLite, its write-ahead log and what the uplink keeps: a month of busy rooms.
DISK_FREE_MIN, DISK_FREE_LOW = 100 * 2**20, 2 * 2**30
# Clock sources that cost a system call, or more, for each look.
SLOW_CLOCKS = frozenset({"hpet", "acpi_pm", "jiffies", "pit"})


class ControlFacts(msgspec.Struct, frozen=True):
    """Of the control plane, where one is to be started."""

    host: str
    port: int
    port_error: str  # empty = the port could be had
    answers: bool  # a control plane answers there already
    url: str  # as configured; empty = localhost
    test_mode: bool
    mail_host: str
    mail_sender: str
    key_can_sign: bool
    examined: Examined | None
    examined_error: str = ""  # why it is not known


class Facts(msgspec.Struct, frozen=True):
    """What was found; None where it cannot be known here."""

    python: tuple[int, int, int]
    machine: str  # "x86_64"
    linux: tuple[int, int]
    stentor: str
    processors: int
    http_host: str
    http_port: int
    http_error: str  # empty = the port could be had
    http_answers: bool  # a Stentor answers there already
    dev: bool
    token_error: str  # empty = grants can be checked
    probe: Probe | None
    probe_error: str  # why there is none
    media_port: int
    announced: tuple[tuple[str, int], ...]
    files_max: int  # soft limit; -1 = none
    participants_max: int
    receive_buffer_max: int | None  # net.core.rmem_max
    send_buffer_max: int | None  # net.core.wmem_max
    clock_s: float  # Unix time
    clock_step_s: float  # how far real and monotonic time moved apart while we looked
    monotonic_backwards: bool
    clock_synchronised: bool | None
    clock_source: str  # empty = not known
    certificate_error: str = ""  # empty = HTTPS can be spoken, or is not asked for
    certificate_days: int | None = None  # until it ends; None = plain HTTP
    control: ControlFacts | None = None  # None = none is to be started


class Line(msgspec.Struct, frozen=True):
    """One finding: what was looked at, how it is, and what to do if it is not well."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


def examine(facts: Facts) -> list[Line]:
    """Every check's lines, in the order of CHECKS."""
    return [line for check in CHECKS for line in check(facts)]


def healthy(lines: Sequence[Line]) -> bool:
    """True when nothing fails."""
    return all(line.verdict != "fail" for line in lines)


def as_text(lines: Sequence[Line]) -> str:
    """For people: one line a finding, its advice below it."""
    out = []
    for line in lines:
        out.append(f"{line.verdict:<5}{line.check:<14}{line.found}")
        if line.advice:
            out.append(" " * 19 + "-> " + line.advice)
    counts = {verdict: sum(line.verdict == verdict for line in lines) for verdict in ("ok", "warn", "fail")}
    out.append(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return "\n".join(out)


def as_json(lines: Sequence[Line]) -> str:
    """For programs: {"healthy": bool, "lines": [{check, verdict, found, advice}]}."""
    return msgspec.json.encode({"healthy": healthy(lines), "lines": list(lines)}).decode()


def _versions(facts: Facts) -> Iterator[Line]:
    python = ".".join(map(str, facts.python))
    if facts.python[:2] < PYTHON_MIN:
        yield Line("python", "fail", python, "Stentor needs Python 3.11 or newer")
    else:
        yield Line("python", "ok", f"{python}, stentor {facts.stentor}")
    linux = f"Linux {facts.linux[0]}.{facts.linux[1]} on {facts.machine}, {facts.processors} processors"
    if facts.linux < LINUX_MIN:
        yield Line("system", "warn", linux, "nothing older than Linux 5.10 has been tried")
    elif facts.processors < 2:
        yield Line("system", "warn", linux, "node and kernel thread share the one processor: give it a second one")
    else:
        yield Line("system", "ok", linux)


def _http(facts: Facts) -> Iterator[Line]:
    where = f"TCP {facts.http_host} port {facts.http_port}"
    if not facts.http_error:
        yield Line("http port", "ok", f"{where} is free")
    elif facts.http_answers:
        yield Line("http port", "warn", f"{where}: a Stentor answers there", "this is as it should be if it is yours")
    else:
        yield Line("http port", "fail", f"{where}: {facts.http_error}", "stop the other program or set http.port")
    try:
        local = ipaddress.ip_address(facts.http_host).is_loopback
    except ValueError:
        local = facts.http_host == "localhost"
    if facts.dev and not local:
        advice = "unset dev, or set http.host = 127.0.0.1"
        yield Line("dev", "warn", "anyone who reaches the HTTP port may join any room", advice)
    yield from _certificate(facts)
    if facts.token_error:
        yield Line("token key", "fail", facts.token_error, "docs/operations.md shows how to make one")
    else:
        yield Line("token key", "ok", "grants can be checked")


def _certificate(facts: Facts) -> Iterator[Line]:
    if facts.certificate_error:
        yield Line("certificate", "fail", facts.certificate_error, "mend http.certificate_file and http.key_file")
    elif facts.certificate_days is not None and facts.certificate_days < 0:
        yield Line("certificate", "fail", "it has ended: browsers refuse it", "put a new one there and start again")
    elif facts.certificate_days is not None and facts.certificate_days < CERTIFICATE_DAYS_MIN:
        found = f"it ends in {facts.certificate_days} days"
        yield Line("certificate", "warn", found, "put a new one there and start again")
    elif facts.certificate_days is not None:
        yield Line("certificate", "ok", f"it lasts {facts.certificate_days} days")


def _media(facts: Facts) -> Iterator[Line]:
    if facts.probe is None:
        advice = "look at the reason; `make` builds what is compiled"
        yield Line("worker", "fail", f"the worker's probe did not answer: {facts.probe_error}", advice)
        return
    for one in facts.probe.sockets:
        where = f"{one.address} port {facts.media_port}"
        if not one.error:
            yield Line("media port", "ok", f"UDP {where} is free")
        elif facts.http_answers:
            yield Line("media port", "warn", f"UDP {where} is in use", "this is as it should be if it is your Stentor")
        else:
            advice = "stop the other program, set media.port, or name the addresses to bind in media.addresses"
            yield Line("media port", "fail", one.error, advice)
    if not facts.probe.sockets:
        advice = "bring an interface up, or name the addresses in media.addresses"
        yield Line("media port", "fail", "this machine has no address", advice)


def _announced(facts: Facts) -> Iterator[Line]:
    told = ", ".join(address for address, _ in facts.announced)
    addresses = [ipaddress.ip_address(address) for address, _ in facts.announced]
    if not addresses:
        yield Line("announced", "fail", "clients would be told no address", "set media.announced")
    elif all(ip.is_loopback for ip in addresses):
        yield Line("announced", "warn", told, "only this machine can be a client: set media.announced")
    elif not any(ip.is_global for ip in addresses):
        advice = "clients outside of this network need a public address: behind NAT set media.announced to it"
        yield Line("announced", "warn", f"{told} (private)", advice)
    else:
        yield Line("announced", "ok", told)


def _kernel(facts: Facts) -> Iterator[Line]:
    probe = facts.probe
    if probe is None:
        return
    if probe.kernel_error:
        advice = "build it: make, or python setup.py build_ext --inplace"
        yield Line("kernel", "fail", f"the compiled kernel does not load: {probe.kernel_error}", advice)
        return
    yield Line("kernel", "ok", "loads and takes a step")
    broken = [profile for profile, ns in probe.seal_ns.items() if ns == 0]
    told = ", ".join(f"{profile} {ns / 1000:.1f} us" for profile, ns in probe.seal_ns.items())
    if broken:
        advice = "the system's libcrypto does not offer it: is it OpenSSL 3 with its default provider?"
        yield Line("srtp", "fail", f"does not work: {', '.join(broken)}", advice)
    elif min(probe.seal_ns.values(), default=0) > SEAL_NS_MAX:
        advice = "AES is done in software: use a machine, or a setting of its hypervisor, with AES instructions"
        yield Line("srtp", "warn", f"{probe.openssl}: {told}", advice)
    else:
        yield Line("srtp", "ok", f"{probe.openssl}: {told}")


def _buffers(facts: Facts) -> Iterator[Line]:
    if facts.probe is None:
        return
    asked = facts.probe.buffer_bytes_asked
    for name, setting, most, granted in (
        ("receive", "rmem_max", facts.receive_buffer_max, [one.receive_buffer_bytes for one in facts.probe.sockets]),
        ("send", "wmem_max", facts.send_buffer_max, [one.send_buffer_bytes for one in facts.probe.sockets]),
    ):
        # The system tells twice what it grants, for its own overhead.
        got = min((size for size in granted if size), default=0) // 2
        told = f"{name}: {got} of {asked} bytes granted" if got else f"net.core.{setting} is {most}"
        if (got or most or 0) >= asked:
            yield Line("buffers", "ok", told)
        else:
            advice = f"sysctl -w net.core.{setting}={asked}, or give the server CAP_NET_ADMIN: bursts are lost else"
            yield Line("buffers", "warn", told, advice)


def _files(facts: Facts) -> Iterator[Line]:
    wanted = facts.participants_max + FILES_BESIDE_SOCKETS
    told = f"{facts.files_max} open files allowed, {wanted} wanted for limits.participants"
    if facts.files_max == -1 or facts.files_max >= wanted:
        yield Line("file limit", "ok", told)
    else:
        yield Line("file limit", "warn", told, f"ulimit -n {wanted}, or LimitNOFILE={wanted} in the systemd unit")


def _clock(facts: Facts) -> Iterator[Line]:
    if facts.clock_s < CLOCK_MIN_S:
        yield Line("clock", "fail", "the clock stands before 2025", "set it: no grant would hold")
    elif facts.monotonic_backwards:
        yield Line("clock", "fail", "the monotonic clock went backwards", "a fault of the hypervisor or its driver")
    elif abs(facts.clock_step_s) > CLOCK_STEP_S:
        advice = "let NTP slew instead (chronyd, systemd-timesyncd): a step moves arrival stamps"
        yield Line("clock", "warn", f"stepped by {facts.clock_step_s * 1000:.0f} ms while we looked", advice)
    elif facts.clock_synchronised is False:
        advice = "run chronyd or systemd-timesyncd: grants of other machines expire by their clocks"
        yield Line("clock", "warn", "steady, and not synchronised", advice)
    else:
        yield Line("clock", "ok", "steady" + (", synchronised" if facts.clock_synchronised else ""))
    if facts.clock_source in SLOW_CLOCKS:
        advice = "choose tsc or kvm-clock in /sys/devices/system/clocksource: each packet looks at the clock"
        yield Line("clock source", "warn", facts.clock_source, advice)
    elif facts.clock_source:
        yield Line("clock source", "ok", facts.clock_source)


def _control(facts: Facts) -> Iterator[Line]:
    control = facts.control
    if control is None:
        return
    where = f"TCP {control.host} port {control.port}"
    if not control.port_error:
        yield Line("control port", "ok", f"{where} is free")
    elif control.answers:
        advice = "this is as it should be if it is yours"
        yield Line("control port", "warn", f"{where}: a control plane answers there", advice)
    else:
        advice = "stop the other program, set control.port, or do without: control.enabled = false"
        yield Line("control port", "fail", control.port_error, advice)
    if not control.key_can_sign:
        advice = "set tokens.key_file to the private key, or control.enabled = false"
        yield Line("control key", "fail", "the key for grants is a public one: no control plane is started", advice)
    if control.test_mode:
        yield Line("control clock", "warn", "it stands: control.test_mode is set", "unset it where people are served")
    yield from _address(control, facts.dev)
    yield from _mail(control, facts.dev)
    yield from _examined(control)


def _address(control: ControlFacts, dev: bool) -> Iterator[Line]:
    if control.url.startswith("https://"):
        yield Line("control url", "ok", control.url)
    elif not dev:
        advice = (
            "set control.url to https://..., with a TLS proxy that sends X-Forwarded-Proto in front of the port, or "
        )
        found = f"{control.url or 'control.url is not set'}: without dev pages and API are for HTTPS alone"
        yield Line("control url", "warn", found, advice + "control.enabled = false")


def _mail(control: ControlFacts, dev: bool) -> Iterator[Line]:
    if control.mail_host and control.mail_sender.endswith("@localhost"):
        advice = "set mail.sender to an address of a domain of yours: others refuse this one"
        yield Line("mail", "warn", f"{control.mail_host}, from {control.mail_sender}", advice)
    elif control.mail_host:
        yield Line("mail", "ok", f"{control.mail_host}, from {control.mail_sender}")
    elif dev:
        yield Line("mail", "ok", "kept in the development mailbox: mail.host is not set")
    else:
        advice = "set [mail]: the mails that wait are sent then"
        yield Line("mail", "warn", "mail.host is not set: mails wait, and nobody can sign up", advice)


def _examined(control: ControlFacts) -> Iterator[Line]:
    found = control.examined
    if found is None:
        yield Line("control plane", "fail", f"its probe did not answer: {control.examined_error}", "look at the reason")
        return
    if found.folder_error:
        advice = "give the server's user a folder: control.folder, or StateDirectory= in the systemd unit"
        yield Line("control folder", "fail", found.folder_error, advice)
    elif found.keys_error:
        advice = "put it back from a backup: with new keys bans and the one free account are forgotten"
        yield Line("control folder", "fail", found.keys_error, advice)
    else:
        yield Line("control folder", "ok", "can be written to")
    yield from _database(found)
    if found.free_bytes is not None:
        told = f"{found.free_bytes / 2**30:.1f} GiB free"
        verdict: Verdict = "fail" if found.free_bytes < DISK_FREE_MIN else "warn"
        if found.free_bytes < DISK_FREE_LOW:
            yield Line("control disk", verdict, told, "make room: a full disk ends sign-ups, rooms by id and records")
        else:
            yield Line("control disk", "ok", told)


def _database(found: Examined) -> Iterator[Line]:
    name = f"{found.engine} {'.'.join(map(str, found.database_version))}".strip()
    if found.database_error:
        advice = "is the server there, and may we in? control.database; for SQLite, is the file ours and whole?"
        yield Line("database", "fail", f"{name} does not answer: {found.database_error}", advice)
    elif found.engine == "postgresql" and found.database_version < (POSTGRESQL_MIN,):
        yield Line("database", "fail", name, f"PostgreSQL {POSTGRESQL_MIN} or newer is needed")
    elif found.schema == "unknown":
        advice = "start that release, or put a backup of before the upgrade back"
        yield Line("database", "fail", f"{name}: its tables are of a newer release", advice)
    elif found.schema == "old":
        advice = "the next start brings them up to date: make a backup first"
        yield Line("database", "warn", f"{name}: its tables are of an older release", advice)
    else:
        yield Line("database", "ok", name + (": made at the first start" if found.schema == "new" else ""))


CHECKS: tuple[Callable[[Facts], Iterator[Line]], ...] = (
    _versions, _http, _media, _announced, _kernel, _buffers, _files, _clock, _control,
)  # fmt: skip
