"""The dual-source modules as plain Python: the same text that is compiled, with Python's integers and bytes.

`load()` gives each module under its short name. Rows are objects with Python ints, made from the dtypes, so
that nothing wraps or overflows where C would do the same only by luck.
"""

from __future__ import annotations

import functools
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

from sfu.routing import tables

ROOT = Path(__file__).resolve().parent.parent
# In the order of their imports.
SOURCES = {
    "octets": "sfu/wire/octets.py",
    "rtp": "sfu/wire/rtp.py",
    "vp8": "sfu/wire/vp8.py",
    "picture": "sfu/wire/picture.py",
    "h264": "sfu/wire/h264.py",
    "vp9": "sfu/wire/vp9.py",
    "av1": "sfu/wire/av1.py",
    "red": "sfu/wire/red.py",
    "rtcp": "sfu/wire/rtcp.py",
    "select": "sfu/routing/kernel/select.py",
    "rewrite": "sfu/routing/kernel/rewrite.py",
    "forward": "sfu/routing/kernel/forward.py",
    "rank": "sfu/routing/kernel/rank.py",
}


def constants() -> types.ModuleType:
    """What tables.pxd declares, as a module."""
    module = types.ModuleType("tables")
    enums: dict[str, Any] = {
        "ARRIVAL": tables.Arrival, "DEPARTURE": tables.Departure, "COMMAND": tables.Command, "EVENT": tables.Event,
        "KIND": tables.Kind, "CODEC": tables.Codec, "PROFILE": tables.Profile, "COUNTER": tables.Counter,
    }  # fmt: skip
    for prefix, members in enums.items():
        for member in members:
            setattr(module, f"{prefix}_{member.name}", int(member))
    for name, value in vars(tables).items():
        if name.isupper() and type(value) is int:
            setattr(module, name, value)
    return module


@functools.cache
def load() -> types.SimpleNamespace:
    """Run each source as it stands, its cimports pointing to the others' plain forms."""
    import cython  # noqa: F401  (its shadow is what the sources import)

    names = {"sfu.routing.kernel.tables": constants(), "libc.string": types.ModuleType("string")}
    vars(names["libc.string"])["memcpy"] = None  # of the compiled form alone
    loaded = types.SimpleNamespace()
    shadowed = {name: module for name, module in sys.modules.items() if name.startswith("cython.cimports")}
    try:
        for short, path in SOURCES.items():
            dotted = path.removesuffix(".py").replace("/", ".")
            for known, module in names.items():
                _register(known, module)
            module = types.ModuleType(dotted)
            module.__file__ = str(ROOT / path)
            exec(compile((ROOT / path).read_text(), module.__file__, "exec"), module.__dict__)
            names[dotted] = module
            setattr(loaded, short, module)
    finally:
        for name in [name for name in sys.modules if name.startswith("cython.cimports")]:
            del sys.modules[name]
        sys.modules.update(shadowed)
    return loaded


def _register(dotted: str, module: types.ModuleType) -> None:
    """Make `from cython.cimports.<dotted> import ...` find the module."""
    parts = ["cython", "cimports", *dotted.split(".")]
    for end in range(2, len(parts)):
        name = ".".join(parts[:end])
        package = sys.modules.get(name)
        if package is None or not hasattr(package, "__path__"):
            package = types.ModuleType(name)
            package.__path__ = []
            sys.modules[name] = package
    sys.modules[".".join(parts)] = module
    setattr(sys.modules[".".join(parts[:-1])], parts[-1], module)


class Bytes(bytearray):
    """A buffer that `out + n` moves along, as a C pointer does."""

    def __add__(self, offset: int) -> Any:  # type: ignore[override]
        return memoryview(self)[offset:]


def row(dtype: np.dtype[Any], **values: Any) -> types.SimpleNamespace:
    """One row of a table, zeroed but for `values`."""
    assert dtype.names is not None and dtype.fields is not None
    made = types.SimpleNamespace()
    for name in dtype.names:
        shape = dtype.fields[name][0].shape
        setattr(made, name, [0] * shape[0] if shape else 0)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class State:
    """The tables of `limits` with plain rows, made when first touched; `emit` and `tell` are the test's."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no table {name}")

    def __init__(self, limits: tables.Limits, emit: Any, tell: Any) -> None:
        for name, (dtype, _) in tables.shapes(limits).items():
            setattr(self, name, _Lazy(dtype))
        self.arrived = [0] * len(tables.Arrival)
        self.departed = [0] * len(tables.Departure)
        self.counters = [0] * len(tables.Counter)
        self.ring = limits.ring
        self.audio_ring = limits.audio_ring
        self.now_us = 0
        self.from_ring = 0
        self.emit = emit
        self.tell = tell


class _Lazy(dict[int, types.SimpleNamespace]):
    def __init__(self, dtype: np.dtype[Any]) -> None:
        super().__init__()
        self._dtype = dtype

    def __missing__(self, key: int) -> types.SimpleNamespace:
        self[key] = made = row(self._dtype)
        return made
