"""What is kept of rooms: every piece counts once, in whichever order it is told, and what is gone no longer."""

from __future__ import annotations

import datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_plane.rooms import stored
from control_plane.rooms.tables import recorded_days, stored_objects, stored_pieces
from tests.control_plane.rooms.hall import Hall

T0 = 1_800_000_000_000
DAY = datetime.date(2027, 1, 15)
MINUTE_MS = 60_000


def piece(event: dict[str, Any], name: str, start_min: int, size: int, **more: Any) -> dict[str, Any]:
    """A minute of a recording."""
    from_ms = T0 + start_min * MINUTE_MS
    return {
        "type": "stored", "room": event["number"], "name": name, "kind": "recording",
        "from_ms": from_ms, "to_ms": from_ms + MINUTE_MS, "bytes": size, **more,
    }  # fmt: skip


def file(event: dict[str, Any], name: str, size: int) -> dict[str, Any]:
    return piece(event, name, 0, size, kind="file", to_ms=T0)


def gone(event: dict[str, Any], name: str) -> dict[str, Any]:
    return {"type": "removed", "room": event["number"], "name": name, "at_ms": T0 + 10**9}


def kept(here: Hall, account: str = "acc_a") -> tuple[int, int]:
    """Bytes of recordings and of files."""
    sizes = here.store.read(lambda connection: stored.sizes_bytes(connection, account))
    return sizes["recording"], sizes["file"]


def minutes(here: Hall, first: datetime.date, days: int) -> float:
    end = first + datetime.timedelta(days=days)
    return here.store.read(lambda connection: stored.recorded_seconds(connection, "acc_a", first, end)) / 60


def test_recordings_and_files_are_summed_apart_and_the_same_report_again_changes_nothing(here: Hall) -> None:
    event, other = here.plan_event(), here.plan_event()
    records = [piece(event, "r1", n, 1000) for n in range(5)] + [piece(other, "r1", 0, 7), file(event, "slides", 50)]
    assert here.report(records).json() == {"new": 7, "known": 0, "foreign": 0}
    for _ in range(3):
        assert here.report(records[::-1]).json() == {"new": 0, "known": 7, "foreign": 0}
    assert kept(here) == (5007, 50)
    assert minutes(here, DAY, 1) == 6
    assert kept(here, "acc_b") == (0, 0)


def test_what_is_gone_is_not_kept_any_more_and_was_recorded_all_the_same(here: Hall) -> None:
    event = here.plan_event()
    here.report([piece(event, "r1", 0, 1000), piece(event, "r2", 0, 300), file(event, "slides", 50)])
    assert here.report([gone(event, "r1"), gone(event, "r1")]).json() == {"new": 1, "known": 1, "foreign": 0}
    assert kept(here) == (300, 50)
    assert minutes(here, DAY, 1) == 2


def test_a_piece_that_is_told_after_its_end_does_not_bring_it_back(here: Hall) -> None:
    event = here.plan_event()
    here.report([gone(event, "r1")])
    here.report([piece(event, "r1", 0, 1000)])
    assert kept(here) == (0, 0)
    (row,) = here.rows(stored_objects)
    assert (row.kind, row.size_bytes, row.removed_at is not None) == ("recording", 1000, True)


def test_minutes_count_on_the_day_on_which_their_piece_begins(here: Hall) -> None:
    event = here.plan_event()
    midnight_min = int((datetime.datetime(2027, 1, 16, tzinfo=datetime.UTC).timestamp() * 1000 - T0) // MINUTE_MS)
    here.report([piece(event, "r1", midnight_min - 1, 1), piece(event, "r1", midnight_min, 1)])
    assert [minutes(here, DAY + datetime.timedelta(days=n), 1) for n in range(-1, 3)] == [0, 1, 1, 0]
    assert minutes(here, DAY, 2) == 2


def test_what_cannot_be_is_refused_or_left_out(here: Hall) -> None:
    event = here.plan_event()
    for wrong in (
        {"bytes": -1},
        {"bytes": 10**15 + 1},
        {"bytes": 1.5},
        {"kind": "film"},
        {"name": ""},
        {"name": "n" * 129},
    ):
        assert here.report([piece(event, "r1", 0, 1) | wrong]).status_code == 422
    backwards = piece(event, "r1", 0, 1, to_ms=T0 - 1)
    endless = piece(event, "r1", 0, 1, to_ms=T0)
    assert here.report([backwards, endless]).json() == {"new": 0, "known": 0, "foreign": 0}
    assert here.report([{**piece(event, "r1", 0, 1), "room": "000000000"}]).json()["foreign"] == 1
    assert here.rows(stored_pieces) == [] and here.rows(recorded_days) == []


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("piece"), st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 9)),
        st.tuples(st.just("gone"), st.sampled_from("ab"), st.just(0), st.just(0)),
    ),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(steps=STEPS)
def test_the_sums_are_those_of_a_list_of_all_that_was_told(here: Hall, steps: list[tuple[str, str, int, int]]) -> None:
    event = here.plan_event()
    before, first_told, over = kept(here)[0], dict[tuple[str, int], int](), set[str]()
    for what, name, start, size in steps:
        here.report([piece(event, name, start, size) if what == "piece" else gone(event, name)])
        if what == "piece":
            first_told.setdefault((name, start), size)
        else:
            over.add(name)
    assert kept(here)[0] - before == sum(size for (name, _), size in first_told.items() if name not in over)
