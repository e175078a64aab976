"""Debian's Firefox as a client, driven by WebDriver BiDi (W3C), with the part of Playwright's pages that tests use."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from playwright.async_api import BrowserContext
from websockets.asyncio.client import ClientConnection, connect

from tests.netns import Namespace
from tests.servers import eventually

FIREFOX = Path("/usr/bin/firefox-esr")
# Its fake microphone plays this tone unless told otherwise; its fake camera shows one colour that wanders.
FAKE_TONE_HZ = 1000.0
PREFERENCES: Mapping[str, Any] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # On a machine without a sound card no AudioContext of Firefox ever starts, except on its own pretended one.
    "media.cubeb.force_mock_context": True,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "extensions.update.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "services.settings.server": "data:,",
}
ANSWER_S = 60.0
START_S = 60.0


class FirefoxError(Exception):
    """What Firefox answers to a command that failed, or to a script that threw."""


@dataclass(frozen=True)
class _Line:
    """As Playwright's ConsoleMessage."""

    type: str
    text: str
    location: str


class _Page:
    """One tab."""

    def __init__(self, firefox: _Firefox, context: str) -> None:
        self._firefox = firefox
        self._context = context
        self.handlers: dict[str, Callable[[Any], None]] = {}

    async def goto(self, url: str) -> None:
        await self._firefox.ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    async def add_init_script(self, *, path: Path) -> None:
        declaration = f"() => {{ {path.read_text()} }}"
        await self._firefox.ask("script.addPreloadScript", functionDeclaration=declaration, contexts=[self._context])

    async def evaluate(self, expression: str, argument: Any = None) -> Any:
        """As Playwright: the value of the expression, called with `argument` where it is a function."""
        body = expression.strip().removesuffix(";")
        declaration = f"""async (text) => {{
            const value = (
                {body}
            );
            const result = await (typeof value === "function" ? value(JSON.parse(text)) : value);
            return JSON.stringify(result ?? null);
        }}"""
        answer = await self._firefox.ask(
            "script.callFunction",
            functionDeclaration=declaration,
            awaitPromise=True,
            userActivation=True,
            target={"context": self._context},
            arguments=[{"type": "string", "value": json.dumps(argument)}],
        )
        if answer["type"] != "success":
            raise FirefoxError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def on(self, event: str, handler: Callable[[Any], None]) -> None:
        self.handlers[event] = handler

    def heard(self, entry: dict[str, Any]) -> None:
        """A line of the console or an uncaught error."""
        if entry["source"].get("context") != self._context:
            return
        text = str(entry.get("text"))
        if entry["type"] == "javascript" and entry["level"] == "error" and "pageerror" in self.handlers:
            self.handlers["pageerror"](text)
        if entry["type"] == "console" and "console" in self.handlers:
            self.handlers["console"](_Line(entry["level"], text, ""))

    async def screenshot(self, *, path: str) -> None:
        answer = await self._firefox.ask("browsingContext.captureScreenshot", context=self._context)
        Path(path).write_bytes(base64.b64decode(answer["data"]))

    async def close(self, *, run_before_unload: bool = False) -> None:
        await self._firefox.ask("browsingContext.close", context=self._context, promptUnload=False)


class _Firefox:
    """The connection to one browser; Playwright's BrowserContext as far as tests use it."""

    def __init__(self, door: ClientConnection) -> None:
        self._door = door
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: list[_Page] = []
        self._reading = asyncio.ensure_future(self._read())

    @property
    def pages(self) -> list[_Page]:
        return []  # the first tab is of the browser's own making

    async def new_page(self) -> _Page:
        answer = await self.ask("browsingContext.create", type="tab")
        page = _Page(self, answer["context"])
        self._pages.append(page)
        return page

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command. Raises FirefoxError."""
        number = next(self._ids)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._door.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(ANSWER_S):
            return await self._waiting[number]

    async def _read(self) -> None:
        async for text in self._door:
            message = json.loads(text)
            if message["type"] == "event":
                for page in self._pages if message["method"] == "log.entryAdded" else ():
                    page.heard(message["params"])
                continue
            answered = self._waiting.pop(message["id"], None)
            if answered is None or answered.done():
                continue
            if message["type"] == "error":
                answered.set_exception(FirefoxError(f"{message['error']}: {message['message']}"))
            else:
                answered.set_result(message["result"])
        for left in self._waiting.values():
            if not left.done():
                left.set_exception(FirefoxError("Firefox has ended"))

    async def start(self) -> None:
        await self.ask("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        await self.ask("session.subscribe", events=["log.entryAdded"])

    async def stop(self) -> None:
        await self._door.close()
        await asyncio.wait([self._reading])


@contextlib.asynccontextmanager
async def firefox(
    *,
    namespace: Namespace | None = None,
    bypass_csp: bool = False,
    preferences: Mapping[str, Any] | None = None,
) -> AsyncIterator[BrowserContext]:
    """A Firefox with a profile of its own; any certificate is taken. `bypass_csp`: for pages with tests' scripts."""
    if not FIREFOX.exists():
        raise FileNotFoundError(f"{FIREFOX} is not installed; `make test` installs it")
    profile = Path(tempfile.mkdtemp(prefix="stentor-firefox-"))
    chosen = {**PREFERENCES, "security.csp.enable": not bypass_csp, **(preferences or {})}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in chosen.items()]
    (profile / "user.js").write_text("".join(lines))
    process = await asyncio.create_subprocess_exec(
        *(namespace.prefix if namespace is not None else ()),
        *(FIREFOX, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", profile, "about:blank"),
        env={**os.environ, "HOME": str(profile), "MOZ_HEADLESS": "1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        browser = _Firefox(await _door(profile, namespace))
        await browser.start()
        try:
            yield cast(BrowserContext, browser)
        finally:
            await browser.stop()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its content processes, which are its session's
        await process.wait()
        shutil.rmtree(profile, ignore_errors=True)


async def _door(profile: Path, namespace: Namespace | None) -> ClientConnection:
    async def port() -> int | None:
        try:
            return int(json.loads((profile / "WebDriverBiDiServer.json").read_text())["ws_port"])
        except (OSError, ValueError):
            return None

    number = await eventually(port, within_s=START_S, what="Firefox listens")

    def plain() -> socket.socket:
        return socket.create_connection(("127.0.0.1", number), 10)

    made = await (asyncio.to_thread(plain) if namespace is None else namespace.inside(plain))
    made.setblocking(False)
    return await connect(f"ws://127.0.0.1:{number}/session", sock=made, proxy=None, max_size=None)
