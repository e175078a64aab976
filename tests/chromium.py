"""Debian's Chromium with a camera and a microphone of our own making, in a network of its own if need be."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from playwright.async_api import BrowserContext, Playwright

from tests.media import FakeMedia
from tests.netns import Namespace

CHROMIUM = Path("/usr/bin/chromium")  # offers raw addresses as candidates
HEADLESS_SHELL = Path("/usr/bin/chromium-headless-shell")  # offers only mDNS names, as a viewer without camera does
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
# Two browsers that talk without a server find each other by raw addresses; mDNS names ask for a network with multicast.
RAW_CANDIDATES = ("--disable-features=WebRtcHideLocalIpsWithMdns",)


@contextlib.asynccontextmanager
async def chromium(
    playwright: Playwright,
    program: Path = CHROMIUM,
    media: FakeMedia | None = None,
    *,
    bypass_csp: bool = False,
    flags: Sequence[str] = (),
    namespace: Namespace | None = None,
) -> AsyncIterator[BrowserContext]:
    """A browser with a profile of its own; its camera and microphone play `media` (None: Chromium's test picture).

    `bypass_csp`: for pages with scripts of the tests; the product's page is judged with its policy in force.
    `namespace`: the network it runs in; there any certificate is taken.
    """
    if not program.exists():
        raise FileNotFoundError(f"{program} is not installed; `make test` installs it")
    profile = tempfile.mkdtemp(prefix="stentor-chromium-")
    fake = (
        []
        if media is None
        else [
            f"--use-file-for-fake-video-capture={media.video}",
            f"--use-file-for-fake-audio-capture={media.audio}",
        ]
    )
    try:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=program if namespace is None else _wrapped(program, namespace, Path(profile)),
            headless=True,
            chromium_sandbox=False,
            args=[*FLAGS, *fake, *flags],
            bypass_csp=bypass_csp,
            ignore_https_errors=namespace is not None,
            viewport={"width": 1280, "height": 800},
        )
        try:
            yield context
        finally:
            await context.close()
    finally:
        shutil.rmtree(profile, ignore_errors=True)


def _wrapped(program: Path, namespace: Namespace, folder: Path) -> Path:
    """A program that starts the browser in a network of its own: Playwright takes one word only."""
    script = folder / "browser"
    script.write_text(f'#!/bin/sh\nexec {" ".join(namespace.prefix)} {program} "$@"\n')
    script.chmod(0o755)
    return script
