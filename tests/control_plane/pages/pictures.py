"""Pictures of every page and mail, to be looked at: `python -m tests.control_plane.pages.pictures FOLDER [name ...]`.

In Debian's Chromium, light, dark, and on a telephone 320 pixels wide; a page that scrolls sideways there is told of."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from control_plane.accounts.setup import Setup
from control_plane.gateway.port import Gateway
from control_plane.storage import migrate
from control_plane.storage.store import Store
from tests.chromium import CHROMIUM, FLAGS
from tests.control_plane.pages.browsing import Site, Visitor, site
from tests.control_plane.pages.town import town
from tests.control_plane.people import FINGERPRINT_KEY, drawn

LOOKS = {"light": (1100, "light"), "dark": (1100, "dark"), "phone": (320, "light")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def served(store: Store, gateway: Gateway | None = None) -> Iterator[Site]:
    """A site that a real browser reaches, as a server for development. `gateway`: another one than the fake."""
    port = free_port()
    setup = Setup(FINGERPRINT_KEY, f"http://localhost:{port}", drawn(1))
    with site(store, gateway, setup=setup, dev=True) as made:
        made.base_url = setup.base_url
        config = uvicorn.Config(made.app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                thread.join(0.01)
            yield made
        finally:
            server.should_exit = True
            thread.join()


def context_of(browser: Browser, made: Site, visitor: Visitor, width: int, scheme: str) -> BrowserContext:
    """A browser that is signed in as this visitor."""
    context = browser.new_context(
        viewport={"width": width, "height": 800 if width > 500 else 640},
        color_scheme=scheme,  # type: ignore[arg-type]
        locale="en-GB",
    )
    cookies = visitor.client.cookies
    for name in ("stentor",):
        if cookies.get(name):
            context.add_cookies([{"name": name, "value": cookies[name], "url": made.base_url}])
    return context


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        store = Store(f"sqlite:///{place}/control-plane.sqlite")
        migrate.up(store)
        with served(store) as made, sync_playwright() as playwright:
            there = town(made)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), chromium_sandbox=False)
            for look, (width, scheme) in LOOKS.items():
                contexts = {
                    who: context_of(browser, made, visitor, width, scheme) for who, visitor in there.people.items()
                }
                for name, who, path in there.pages():
                    if names and name not in names:
                        continue
                    page = contexts[who].new_page()
                    page.goto(f"{made.base_url}{path}")
                    wide = page.evaluate("document.documentElement.scrollWidth")
                    if wide > width:
                        print(f"{name} at {width}: {wide} wide")
                    page.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
                    page.close()
            if not names:
                mails(browser, made, folder)
            browser.close()
        store.close()


def mails(browser: Browser, made: Site, folder: Path) -> None:
    """What came to the development mailbox, as a mail program shows it."""
    for width in (700, 320):
        page = browser.new_page(viewport={"width": width, "height": 600})
        for mail in made.app.state.mailbox.newest():
            page.set_content(mail.html)
            name = re.sub(r"[^a-z]+", "-", mail.subject.lower()).strip("-")
            page.screenshot(path=folder / f"mail-{name}-{width}.png", full_page=True)
        page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
