"""Passwords as hashes, and the pool in which they are made."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from control_plane.accounts import passwords
from control_plane.accounts.passwords import Cost, Passwords
from control_plane.accounts.pool import HashingPool
from control_plane.errors import Invalid, Unavailable
from tests.control_plane.entries import entry
from tests.control_plane.people import CHEAP


def test_a_hash_is_argon2id_of_the_cost_and_holds_for_its_password_alone() -> None:
    some = Passwords(CHEAP)
    kept = some.hash("correct horse battery")
    assert kept.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert kept != some.hash("correct horse battery")
    assert some.holds(kept, "correct horse battery")
    assert not some.holds(kept, "correct horse batterz")
    assert not some.holds("not a hash", "correct horse battery")


def test_the_default_cost_is_what_rfc_9106_recommends_for_64_mib() -> None:
    assert Cost() == Cost(passes=3, memory_kib=65536, lanes=1)


def test_long_and_unicode_passwords_are_themselves() -> None:
    some = Passwords(CHEAP)
    long = "ą😀żß" * (passwords.CHARACTERS_MAX // 4)
    with entry("ACC-02.3"):
        passwords.check(long)
        assert some.holds(some.hash(long), long)
        # No byte behind a limit of the hash is left out.
        assert not some.holds(some.hash(long), long[:-1] + "x")
        # é as one character and as two is one password: keyboards differ.
        assert some.holds(some.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")
        assert some.holds(some.hash("half \ud800 of a pair"), "half \ud800 of a pair")


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_short"),
        ("x" * 257, "password_long"),
        ("ababababababab", "password_weak"),
        ("", "password_short"),
    ],
)
def test_a_password_has_limits(password: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        passwords.check(password, field="new")
    assert (refused.value.code, refused.value.field) == (code, "new")


def test_a_hash_of_other_parameters_is_out_of_date() -> None:
    old, new = Passwords(CHEAP), Passwords(Cost(passes=2, memory_kib=16, lanes=1))
    kept = old.hash("correct horse battery")
    assert new.holds(kept, "correct horse battery")
    assert new.out_of_date(kept)
    assert not new.out_of_date(new.hash("correct horse battery"))


async def test_the_queue_has_32_places_and_then_says_when_again() -> None:
    pool, gate = HashingPool(threads=2), threading.Event()
    waiting = [asyncio.create_task(pool.run(lambda: gate.wait(30))) for _ in range(2 + 32)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as full:
        await pool.run(lambda: True)
    assert full.value.retry_after_s
    gate.set()
    assert all(await asyncio.gather(*waiting))
    assert await pool.run(lambda: "again") == "again"
    pool.close()


async def test_somebody_who_goes_away_gives_his_place_back() -> None:
    pool, gate = HashingPool(threads=1, queue=1), threading.Event()
    first = asyncio.create_task(pool.run(lambda: gate.wait(30)))
    second = asyncio.create_task(pool.run(lambda: True))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    third = asyncio.create_task(pool.run(lambda: "third"))
    await asyncio.sleep(0)
    gate.set()
    assert await first and await third == "third"
    pool.close()


async def test_hashing_does_not_stall_the_loop() -> None:
    pool, some = HashingPool(threads=1), Passwords(Cost(passes=2, memory_kib=32768, lanes=1))
    turns = 0
    work = asyncio.gather(pool.run(lambda: [some.hash("correct horse battery") for _ in range(3)]))
    while not work.done():
        turns += 1
        await asyncio.sleep(0)
    with entry("ACC-02.4"):
        # Were the work done in the loop, it would come round once or twice in all.
        assert turns > 50
    pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a niceness of each thread is Linux's")
async def test_hashing_gives_way_to_all_other_threads_and_takes_none_with_it() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    pool, ours = HashingPool(threads=1), niceness()
    assert await pool.run(niceness) > ours
    assert niceness() == ours
    assert await asyncio.to_thread(niceness) == ours
    pool.close()


async def test_work_that_fails_fails_for_its_caller_and_frees_its_place() -> None:
    pool = HashingPool(threads=1, queue=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 // 0)
    assert await pool.run(lambda: 1) == 1
    pool.close()
