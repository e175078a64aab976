"""The development mailbox is a page of a server for development, and of no other."""

from __future__ import annotations

from control_plane.accounts.setup import Setup
from control_plane.pages.mail import pieces
from control_plane.storage.store import Store
from tests.control_plane.pages.accessibility import faults
from tests.control_plane.pages.browsing import Site, site
from tests.control_plane.people import FINGERPRINT_KEY, drawn


def test_it_is_not_there_on_a_server_that_others_reach(here: Site) -> None:
    page = here.visitor().get("/dev/mail")
    assert page.status == 404 and "/dev/mail" not in here.visitor().get("/").response.text


def test_a_mail_is_read_and_its_link_followed(store: Store) -> None:
    setup = Setup(FINGERPRINT_KEY, "http://localhost:8090", drawn(1))
    with site(store, setup=setup, dev=True) as here:
        here.base_url = setup.base_url
        jane = here.visitor("jane@example.com")
        jane.signs_up()
        here.delivers()
        page = jane.get("/dev/mail?to=jane@example.com")
        assert faults(page.tree) == [] and "Please confirm" in page.tree.text
        links = [node.attrs["href"] for node in page.tree.all("a")]
        [link] = [link for link in links if link.startswith(f"{setup.base_url}/verify#token=")]
        assert jane.sends("/verify", "/verify", token=link).done.startswith("Your address is confirmed")
        assert "No mail yet" in jane.get("/dev/mail?to=max@example.com").tree.text


def test_only_addresses_of_pages_become_links() -> None:
    assert pieces("a https://x.test/y#t=1 b") == [("a ", False), ("https://x.test/y#t=1", True), (" b", False)]
    assert pieces("javascript:alert(1) <b>") == [("javascript:alert(1) <b>", False)]
