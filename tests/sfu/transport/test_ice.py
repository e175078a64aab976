"""sfu.transport.ice: who gets which answer, and what is remembered."""

from __future__ import annotations

import asyncio
import hmac

import aioice
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.channel import IceParameters
from sfu.errors import Internal
from sfu.transport import ice
from sfu.transport.ice import IceLite, Path
from sfu.transport.sockets import open_sockets
from sfu.wire import stun

TRANSACTION = bytes(range(12))
PARAMETERS = IceParameters("serv", "server-password-of-22ch", "clnt", "client-password-of-22ch")
PASSWORD = PARAMETERS.local_pwd.encode()
PATH = Path(0, "127.0.0.1", 5000)


def check(
    *,
    username: str = "serv:clnt",
    password: bytes = PASSWORD,
    use: bool = False,
    controlled: int | None = None,
) -> bytes:
    controlling = 7 if controlled is None else None
    return stun.binding_request(
        TRANSACTION,
        username,
        password,
        use_candidate=use,
        priority=1,
        controlling=controlling,
        controlled=controlled,
    )


@pytest.fixture
def agent() -> IceLite:
    made = IceLite()
    made.open(1, PARAMETERS)
    return made


def test_a_good_check_is_answered_with_the_address_it_came_from(agent: IceLite) -> None:
    checked = agent.receive(check(), PATH, 0.0)
    assert (checked.verdict, checked.peer, checked.new_path, checked.nominated) == (ice.ANSWERED, 1, True, False)
    (answer,) = checked.send
    assert stun.parse(answer).mapped == ("127.0.0.1", 5000)
    assert stun.integrity_ok(answer, PASSWORD)
    assert agent.peer_at(PATH) == 1
    assert agent.receive(check(use=True), PATH, 0.1).nominated
    assert not agent.receive(check(), PATH, 0.2).new_path


def test_an_unknown_user_name_gets_nothing(agent: IceLite) -> None:
    assert agent.receive(check(username="other:clnt"), PATH, 0.0) == ice.Checked(ice.UNKNOWN_UFRAG)
    assert agent.peer_at(PATH) is None


def test_a_wrong_password_gets_401_without_integrity_and_makes_no_path(agent: IceLite) -> None:
    request = check(password=b"wrong")
    checked = agent.receive(request, PATH, 0.0)
    assert (checked.verdict, checked.peer) == (ice.BAD_INTEGRITY, None)
    (answer,) = checked.send
    assert stun.parse(answer).error == (401, "Unauthorized")
    assert len(answer) <= len(request)
    assert agent.peer_at(PATH) is None


def test_refusals_are_limited_in_total_and_honest_peers_are_not(agent: IceLite) -> None:
    verdicts = [agent.receive(check(password=b"no"), Path(0, "127.0.0.1", n), 10.0).verdict for n in range(150)]
    assert verdicts == [ice.BAD_INTEGRITY] * 100 + [ice.RATE_LIMITED] * 50
    assert agent.receive(check(), PATH, 10.0).verdict == ice.ANSWERED
    assert agent.receive(check(password=b"no"), PATH, 10.0).send == ()
    assert agent.receive(check(password=b"no"), PATH, 10.02).verdict == ice.BAD_INTEGRITY


def test_an_unknown_required_attribute_gets_420_that_names_it(agent: IceLite) -> None:
    plain = check()
    # the unknown attribute stands first, so the integrity is made anew over all of it
    body = bytes.fromhex("7001000000060009") + b"serv:clnt" + bytes(3)
    head = plain[:2] + (len(body) + 24).to_bytes(2, "big") + plain[4:20]
    digest = hmac.digest(PASSWORD, head + body, "sha1")
    checked = agent.receive(head + body + bytes.fromhex("00080014") + digest, PATH, 0.0)
    assert (checked.verdict, checked.peer) == (ice.UNKNOWN_ATTRIBUTE, 1)
    assert checked.send == ()  # 68 bytes of request without FINGERPRINT: the answer would be as large or larger
    padded = body + bytes.fromhex("8022000c") + b"a long agent"
    head = plain[:2] + (len(padded) + 24).to_bytes(2, "big") + plain[4:20]
    digest = hmac.digest(PASSWORD, head + padded, "sha1")
    (answer,) = agent.receive(head + padded + bytes.fromhex("00080014") + digest, PATH, 0.0).send
    assert stun.parse(answer).error == (420, "")
    assert bytes.fromhex("000a00027001") in answer
    assert stun.integrity_ok(answer, PASSWORD)
    assert agent.peer_at(PATH) is None


def test_a_peer_that_thinks_it_is_controlled_gets_487(agent: IceLite) -> None:
    checked = agent.receive(check(controlled=9), PATH, 0.0)
    assert checked.verdict == ice.ROLE_CONFLICT
    assert stun.parse(checked.send[0]).error == (487, "")
    assert stun.integrity_ok(checked.send[0], PASSWORD)
    assert agent.peer_at(PATH) is None


@pytest.mark.parametrize(
    ("datagram", "verdict"),
    [
        (b"", ice.MALFORMED),
        (b"\0" * 20, ice.MALFORMED),
        (check()[:-4], ice.MALFORMED),
        (check()[:-1] + bytes([check()[-1] ^ 1]), ice.MALFORMED),  # wrong FINGERPRINT
        (stun.binding_success(TRANSACTION, ("127.0.0.1", 1), PASSWORD), ice.NOT_A_REQUEST),
        (stun.binding_error(TRANSACTION, 400, "", PASSWORD), ice.NOT_A_REQUEST),
        (b"\0\x03" + check()[2:], ice.NOT_A_REQUEST),  # TURN Allocate
        (bytes.fromhex("000100002112a442") + TRANSACTION, ice.MALFORMED),  # no user name
    ],
)
def test_what_is_no_check_gets_no_answer(agent: IceLite, datagram: bytes, verdict: str) -> None:
    assert agent.receive(datagram, PATH, 0.0) == ice.Checked(verdict)


def test_a_peer_has_at_most_16_paths_and_keeps_the_nominated_one(agent: IceLite) -> None:
    agent.receive(check(use=True), PATH, 0.0)
    others = [Path(0, "127.0.0.1", 6000 + n) for n in range(40)]
    for path in others:
        assert agent.receive(check(), path, 1.0).new_path
    known = [path for path in [PATH, *others] if agent.peer_at(path) == 1]
    assert known == [PATH, *others[-15:]]


def test_closing_forgets_user_name_and_paths(agent: IceLite) -> None:
    agent.receive(check(), PATH, 0.0)
    agent.close(1)
    agent.close(1)
    assert agent.peer_at(PATH) is None
    assert agent.receive(check(), PATH, 0.0).verdict == ice.UNKNOWN_UFRAG


def test_a_restart_changes_the_user_name_and_keeps_the_paths(agent: IceLite) -> None:
    agent.receive(check(), PATH, 0.0)
    second = IceParameters("serv2", "another-password-22-ch", "c2", "p")
    assert [agent.open(1, second), agent.open(1, second)] == [True, False]
    assert agent.receive(check(), PATH, 0.0).verdict == ice.UNKNOWN_UFRAG
    assert agent.peer_at(PATH) == 1
    again = agent.receive(check(username="serv2:c2", password=b"another-password-22-ch"), PATH, 0.0)
    assert (again.verdict, again.new_path) == (ice.ANSWERED, False)


def test_a_path_belongs_to_the_peer_that_checked_it_last(agent: IceLite) -> None:
    agent.open(2, IceParameters("two", "second-password-22-chars", "c", "p"))
    agent.receive(check(use=True), PATH, 0.0)
    assert agent.receive(check(username="two:c", password=b"second-password-22-chars"), PATH, 0.0).new_path
    assert agent.peer_at(PATH) == 2
    assert agent.receive(check(), PATH, 0.0).new_path  # the first takes it back: new for it again
    assert agent.receive(check(username="two:c", password=b"second-password-22-chars"), PATH, 0.0).new_path
    agent.close(1)
    assert agent.peer_at(PATH) == 2
    agent.close(2)
    assert agent.peer_at(PATH) is None


def test_two_peers_cannot_have_one_user_name(agent: IceLite) -> None:
    with pytest.raises(Internal, match="same ICE ufrag"):
        agent.open(2, PARAMETERS)
    agent.open(1, PARAMETERS)  # the same again is harmless
    assert agent.receive(check(), PATH, 0.0).verdict == ice.ANSWERED


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=150), st.integers(0, 200), st.integers(0, 255))
def test_no_damaged_check_is_answered_with_more_than_it_was(junk: bytes, at: int, value: int) -> None:
    agent = IceLite()
    agent.open(1, PARAMETERS)
    damaged = bytearray(check())
    damaged[at % (len(damaged) - 8)] ^= value  # before FINGERPRINT: that one may be missing
    for datagram in (junk, bytes(damaged)):
        checked = agent.receive(datagram, PATH, 0.0)
        assert checked.verdict in ice.VERDICTS
        assert checked.verdict == ice.ANSWERED or all(len(answer) <= len(datagram) for answer in checked.send)
        assert (checked.verdict == ice.ANSWERED) == (datagram == check())


def test_a_full_agent_of_aioice_connects_and_nominates_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of the whole exchange: an agent that is not ours, over sockets of our own, on this machine."""
    # by itself aioice leaves loopback out
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])

    async def connect() -> None:
        (bound,) = open_sockets(["127.0.0.1"], 0)
        agent, loop, seen = IceLite(), asyncio.get_running_loop(), []
        client = aioice.Connection(ice_controlling=True, use_ipv6=False)
        agent.open(1, IceParameters("serv", PARAMETERS.local_pwd, client.local_username, client.local_password))

        def readable() -> None:
            datagram, (address, port) = bound.socket.recvfrom(2048)
            checked = agent.receive(datagram, Path(0, address, port), loop.time())
            seen.append(checked)
            for answer in checked.send:
                bound.socket.sendto(answer, (address, port))

        loop.add_reader(bound.socket, readable)
        try:
            await client.gather_candidates()
            client.remote_is_lite = True
            client.remote_username, client.remote_password = "serv", PARAMETERS.local_pwd
            host = f"1 1 udp 2130706431 {bound.address} {bound.port} typ host"
            await client.add_remote_candidate(aioice.Candidate.from_sdp(host))
            await client.add_remote_candidate(None)  # the end of candidates
            await asyncio.wait_for(client.connect(), 10)
        finally:
            await client.close()
            loop.remove_reader(bound.socket)
            bound.socket.close()
        assert {checked.verdict for checked in seen} == {ice.ANSWERED}
        assert any(checked.nominated for checked in seen)
        assert all(checked.peer == 1 for checked in seen)

    asyncio.run(connect())
