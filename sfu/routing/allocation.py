"""Which layer a slot shall carry: one pure function. Budgets come with bandwidth estimation; today the wish decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# With three temporal layers (L1T3) each step halves the frame rate; browsers send nothing else for VP8.
TEMPORAL_LAYERS = 3


@dataclass(frozen=True, slots=True)
class LayerState:
    """A layer as it arrives: its height in pixels (0 = no key frame seen yet) and whether packets come now."""

    layer: int
    height: int
    active: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """The wanted layer (None = nothing can be shown) and why it is not more."""

    layer: int | None
    reason: str = ""


def choose_layer(layers: Sequence[LayerState], max_height: int) -> Choice:
    """The largest active layer that is not above `max_height` (0 = no limit), else the smallest active one.

    A layer whose height is unknown counts as 0: it is chosen only where nothing better is there.
    """
    active = sorted((layer for layer in layers if layer.active), key=lambda layer: layer.height)
    if not active:
        # Nothing comes (yet): wait for the first one, so that the first key frame is not missed.
        return Choice(layers[0].layer if layers else None, "waiting_for_source")
    fitting = [layer for layer in active if max_height == 0 or layer.height <= max_height]
    if fitting:
        return Choice(fitting[-1].layer)
    return Choice(active[0].layer, "no_such_layer")


def choose_temporal(max_fps: int, source_fps: int = 30) -> int:
    """The highest temporal layer to forward (0-3) for a wished frame rate; 0 = no limit. Each lower one halves it."""
    if max_fps == 0 or max_fps >= source_fps:
        return TEMPORAL_LAYERS
    if max_fps * 2 >= source_fps:
        return 1
    return 0
