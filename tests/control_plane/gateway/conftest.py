"""Each test of the contract runs against the fake and against the Stripe adapter on localstripe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.control_plane.gateway.rigs import FakeRig, Rig, StripeRig, localstripe


@pytest.fixture(scope="session")
def localstripe_address() -> Iterator[str]:
    with localstripe() as address:
        yield address


@pytest.fixture
def fake() -> Iterator[FakeRig]:
    rig = FakeRig()
    yield rig
    rig.gateway.close()


@pytest.fixture(params=["fake", "stripe"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    if request.param == "fake":
        yield request.getfixturevalue("fake")
        return
    with StripeRig(request.getfixturevalue("localstripe_address")).listening() as stripe:
        yield stripe


@pytest.fixture
def payer(request: pytest.FixtureRequest) -> str:
    """A customer at the gateway of the test."""
    rig: Rig = request.getfixturevalue("rig" if "rig" in request.fixturenames else "fake")
    return rig.gateway.open_payer("account-7")
