"""Feedback: free to use, but what is signed stays personal."""

from __future__ import annotations

import pytest

from control_plane.errors import Invalid, TooMany
from control_plane.legal import feedback
from control_plane.storage.store import Store
from tests.control_plane.entries import entry
from tests.control_plane.legal.given import DAY, NOW


def send(store: Store, text: str, person: str | None = None, later: int = 0) -> None:
    store.write(lambda connection: feedback.send(connection, NOW + later * DAY, text=text, person=person))


def test_signed_feedback_is_in_the_copy_of_the_persons_data_and_goes_with_it(store: Store) -> None:
    send(store, "More colours, please. Ann", "per_ann")
    send(store, "Fewer colours.")
    with entry("LEG-09.2"):
        (kept,) = store.read(lambda connection: feedback.of_person(connection, "per_ann"))
        assert kept.personal and kept.text == "More colours, please. Ann"
        assert store.write(lambda connection: feedback.erase(connection, "per_ann")) == 1
        left = store.read(feedback.everything)
        assert [(one.text, one.personal) for one in left] == [("Fewer colours.", False)]


@pytest.mark.parametrize("text", ["", "   \n", "a" * 4001, "a\x00b", "a\x1b[2J"])
def test_what_is_no_text_is_refused(store: Store, text: str) -> None:
    with pytest.raises(Invalid):
        send(store, text)
    assert store.read(feedback.everything) == []


def test_a_flood_without_a_name_stops(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "UNSIGNED_AN_HOUR", 3)
    for n in range(3):
        send(store, f"buy this {n}")
    with pytest.raises(TooMany):
        send(store, "buy this too")
    send(store, "I am Ann", "per_ann")
    send(store, "tomorrow again", later=1)
    assert len(store.read(feedback.everything)) == 5
