"""The rules of ARCHITECTURE.md, held by reading the sources: sides, rings, rows, sizes (rules 1, 3, 5 and 7)."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SFU = ROOT / "sfu"
KERNEL = SFU / "routing" / "kernel"

# Rule 1. Every module belongs to one side; the longest name that fits decides. A new top-level module of sfu
# must be named here.
SIDES = {
    "sfu": "shared",
    "sfu.wire": "shared",
    "sfu.channel": "shared",
    "sfu.contract": "shared",
    "sfu.config": "shared",
    "sfu.config_page": "shared",
    "sfu.config_sources": "shared",
    "sfu.control": "shared",
    "sfu.errors": "shared",
    "sfu.certificate": "shared",
    "sfu.interfaces": "shared",
    "sfu.logs": "shared",
    "sfu.probed": "shared",
    "sfu.process": "shared",
    "sfu.worker_config": "shared",
    "sfu.signalling": "node",
    "sfu.room": "node",
    "sfu.room_values": "node",
    "sfu.rooms": "node",
    "sfu.seats": "node",
    "sfu.snapshots": "node",
    "sfu.speakers": "node",
    "sfu.node": "node",
    "sfu.workers": "node",
    "sfu.doctor": "node",
    "sfu.draws": "node",
    "sfu.gate": "node",
    "sfu.machine": "node",
    "sfu.usage": "node",
    "sfu.uplink": "node",
    "sfu.transport": "worker",
    "sfu.routing": "worker",
    "sfu.worker": "worker",
    "sfu.probe": "worker",
    "sfu.recording": "recorder",
    # The command starts the processes by exec, so it may know the node and must not know a worker's insides.
    "sfu.companion": "node",
    "sfu.serve": "node",
    "sfu.cli": "node",
    "sfu.__main__": "node",
}
# What the control plane may know of the server: grants and policies, its own settings, and how logs are written.
SHARED_WITH_CONTROL_PLANE = ("sfu.contract", "sfu.control", "sfu.logs")
# Who may import sfu.node: those that start it.
STARTERS = {"sfu.cli", "sfu.serve", "sfu.__main__", "sfu.node"}
# Rule 2. The shells: only here is anything awaited.
IO_FILES = {
    "sfu/__main__.py",
    "sfu/cli.py",
    "sfu/companion.py",
    "sfu/serve.py",
    "sfu/channel.py",
    "sfu/node.py",
    "sfu/snapshots.py",
    "sfu/workers.py",
    "sfu/usage.py",
    "sfu/uplink.py",
    "sfu/worker.py",
    "sfu/signalling/http.py",
    "sfu/signalling/api.py",
    "sfu/signalling/whip.py",
    "sfu/transport/sockets.py",
    "sfu/routing/loop.py",
    "sfu/recording/store.py",
}
# The one module that fills the kernel's command ring.
COMMANDS = "sfu/routing/commands.py"
LINES, LINES_WITH_REASON, FUNCTION_LINES = 400, 700, 60


@dataclass(frozen=True)
class Source:
    path: Path

    @property
    def name(self) -> str:
        """As people write it: sfu/room.py."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def text(self) -> str:
        return self.path.read_text()

    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)


def python(*folders: str) -> list[Source]:
    return [Source(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def side_of(module: str) -> str | None:
    """None for what is not of sfu, or is not named in SIDES."""
    while module != "sfu" and module.startswith("sfu."):
        if module in SIDES:
            return SIDES[module]
        module = module.rpartition(".")[0]
        if module == "sfu":
            return None
    return SIDES.get(module)


def imports(source: Source) -> Iterator[str]:
    """Full names of all that a module imports, those inside of functions and `cython.cimports` too."""
    for node in ast.walk(source.tree()):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = source.module if source.path.name == "__init__.py" else source.module.rpartition(".")[0]
                for _ in range(node.level - 1):
                    package = package.rpartition(".")[0]
                base = f"{package}.{base}".rstrip(".")
            base = base.removeprefix("cython.cimports.")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+(\w+|\()|c?import\s+([\w.]+))", re.MULTILINE)


def compiled_imports(path: Path) -> list[str]:
    """Full names, but for a list in brackets, of which only the module is told."""
    found = CIMPORT.findall(path.read_text())
    return [plain or (base if name == "(" else f"{base}.{name}") for base, name, plain in found]


def inside(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


# Rule 1: three processes, three import sets


def test_every_module_belongs_to_a_side() -> None:
    homeless = [source.name for source in python("sfu") if side_of(source.module) is None]
    assert not homeless, f"say in SIDES to which process these belong: {homeless}"


def test_no_side_imports_another_and_shared_modules_import_no_side() -> None:
    wrong = []
    for source in python("sfu"):
        own = side_of(source.module)
        for name in imports(source):
            other = side_of(name) if inside(name, "sfu") else None
            if other not in (None, "shared", own):
                wrong.append(f"{source.name} ({own}) imports {name} ({other})")
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_the_node_but_what_starts_it() -> None:
    wrong = [
        f"{source.name} imports {name}"
        for source in python("sfu")
        for name in imports(source)
        if inside(name, "sfu.node") and source.module not in STARTERS
    ]
    assert not wrong, "\n".join(wrong)


def test_the_room_knows_nothing_of_signalling() -> None:
    assert not [name for name in imports(Source(SFU / "room.py")) if inside(name, "sfu.signalling")]


def test_nothing_imports_the_worker_process() -> None:
    wrong = [
        source.name
        for source in python("sfu")
        if source.module != "sfu.worker" and any(inside(name, "sfu.worker") for name in imports(source))
    ]
    assert not wrong


def test_the_kernel_knows_only_itself_its_tables_and_the_wire() -> None:
    allowed = ("sfu.routing.kernel", "sfu.routing.tables", "sfu.wire")
    wrong = []
    for path in [*KERNEL.glob("*.pyx"), *KERNEL.glob("*.pxd")]:
        names = compiled_imports(path)
        wrong += [f"{path.name}: {name}" for name in names if inside(name, "sfu") and not inside(name, *allowed)]
    for source in python("sfu/routing/kernel"):
        # `from sfu.routing import tables` names the package as well.
        names = [name for name in imports(source) if inside(name, "sfu") and name not in ("sfu", "sfu.routing")]
        wrong += [f"{source.name}: {name}" for name in names if not inside(name, *allowed)]
    assert not wrong, "\n".join(wrong)


def test_the_sfu_knows_nothing_of_the_control_plane_and_is_known_to_it_by_the_contract_alone() -> None:
    wrong = [source.name for source in python("sfu") if any(inside(name, "control_plane") for name in imports(source))]
    for source in python("control_plane"):
        wrong += [
            f"{source.name} imports {name}"
            for name in imports(source)
            if inside(name, "sfu") and not inside(name, *SHARED_WITH_CONTROL_PLANE) and name != "sfu"
        ]
    assert not wrong


def test_processes_are_started_by_exec_never_forked() -> None:
    wrong = [
        source.name
        for source in python("sfu")
        if any(inside(name, "multiprocessing", "os.fork") for name in imports(source)) or "os.fork(" in source.text
    ]
    assert not wrong


# Rule 2 as far as it can be read: nothing is awaited outside the shells


def test_only_the_shells_are_async() -> None:
    wrong = [
        f"{source.name}:{node.lineno}"
        for source in python("sfu")
        if source.name not in IO_FILES
        for node in ast.walk(source.tree())
        if isinstance(node, ast.AsyncFunctionDef) and not only_declares(node)
    ]
    assert not wrong, f"decide in plain objects, act in shells: {wrong}"


def only_declares(node: ast.AsyncFunctionDef) -> bool:
    """A method of a Protocol: nothing but words and an ellipsis."""
    return all(isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) for line in node.body)


# Rule 3: one producer for the command ring


def test_only_one_module_fills_the_command_ring() -> None:
    wrong = [
        f"{source.name}:{node.lineno}"
        for source in python("sfu/transport", "sfu/routing", "sfu/recording")
        if source.name != COMMANDS
        for node in ast.walk(source.tree())
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "push"
    ]
    assert not wrong, f"commands go through {COMMANDS}: {wrong}"


# Rule 5: a row is said once

C_TYPES = {f"{sign}int{8 * size}_t": f"{sign[:1] or 'i'}{size}" for sign in ("", "u") for size in (1, 2, 4, 8)} | {
    "double": "f8",
    "float": "f4",
}
STRUCT = re.compile(
    r"^(?:ctypedef|cdef)\s+(packed\s+)?struct\s+(\w+?)_?[Rr](?:ow|OW):\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE
)
FIELD = re.compile(r"^\s+(\w+)\s+(\w+)(?:\[(\w+)\])?\s*(?:#.*)?$")
CONSTANT = re.compile(r"^\s+([A-Z][A-Z0-9_]*)\s*=\s*(\d+)", re.MULTILINE)
TABLES = KERNEL / "tables.pxd"


def c_layout(body: str, packed: bool, constants: dict[str, int]) -> tuple[list[tuple[str, str, int]], int]:
    """What a C compiler makes of a struct where we run: (name, type, offset) of each field, and the size."""
    fields: list[tuple[str, str, int]] = []
    offset, widest = 0, 1
    for line in body.splitlines():
        if not line.strip() or line.strip().startswith("#"):
            continue
        match = FIELD.match(line)
        assert match is not None and match[1] in C_TYPES, f"a row holds plain numbers only: {line.strip()}"
        code = C_TYPES[match[1]]
        size = 1 if packed else int(code[1])
        count = 1 if match[3] is None else int(match[3]) if match[3].isdigit() else constants[match[3]]
        offset += -offset % size
        fields.append((match[2], code if match[3] is None else f"{code}x{count}", offset))
        offset += int(code[1]) * count
        widest = max(widest, size)
    return fields, offset + -offset % widest


def numpy_layout(dtype: np.dtype[np.void]) -> tuple[list[tuple[str, str, int]], int]:
    fields = []
    for name in dtype.names or ():
        kind, offset = dtype.fields[name][:2]  # type: ignore[index]
        base, shape = kind.base, kind.shape
        code = f"{base.kind}{base.itemsize}"
        fields.append((name, f"{code}x{int(np.prod(shape))}" if shape else code, int(offset)))
    return fields, int(dtype.itemsize)


def rows() -> list[tuple[str, str, bool]]:
    text = TABLES.read_text() if TABLES.exists() else ""
    return [(name, body, bool(packed)) for packed, name, body in STRUCT.findall(text)]


def table_name(struct: str) -> str:
    """PeerRow and PEER_ROW are both PEER (the ending is gone here already)."""
    return struct if struct.isupper() else re.sub(r"(?<!^)(?=[A-Z])", "_", struct).upper()


@pytest.mark.parametrize(("struct", "body", "packed"), rows(), ids=[name for name, _, _ in rows()])
def test_a_row_is_the_same_to_numpy_and_to_the_compiler(struct: str, body: str, packed: bool) -> None:
    tables = importlib.import_module("sfu.routing.tables")
    constants = {name: int(value) for name, value in CONSTANT.findall(TABLES.read_text())}
    assert numpy_layout(getattr(tables, table_name(struct))) == c_layout(body, packed, constants)


def test_every_table_has_its_struct() -> None:
    tables = importlib.import_module("sfu.routing.tables")
    dtypes = {name for name, value in vars(tables).items() if isinstance(value, np.dtype) and value.names}
    assert dtypes and dtypes == {table_name(name) for name, _, _ in rows()}


# Rule 7: against decay

BYTE_ORDERS = ("!", ">")
STRUCT_CALLS = {"pack", "pack_into", "unpack", "unpack_from", "iter_unpack", "calcsize", "Struct"}


def reads_network_bytes(node: ast.AST) -> bool:
    """A call such as struct.unpack("!H", ...) or int.from_bytes(..., "big")."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    words = [
        word.value for word in [*node.args, *(given.value for given in node.keywords)] if isinstance(word, ast.Constant)
    ]
    if node.func.attr in STRUCT_CALLS:
        return any(isinstance(word, str) and word.startswith(BYTE_ORDERS) for word in words)
    return node.func.attr in {"from_bytes", "to_bytes"} and "big" in words


def test_network_byte_layouts_stand_in_wire_alone() -> None:
    wrong = [
        f"{source.name}:{node.lineno}"
        for source in python("sfu")
        if not inside(source.module, "sfu.wire") and source.name != "sfu/channel.py"
        for node in ast.walk(source.tree())
        if isinstance(node, ast.Call) and reads_network_bytes(node)
    ]
    assert not wrong, f"read and write them in sfu/wire: {wrong}"


def test_dual_source_stands_in_wire_and_kernel_alone() -> None:
    pairs = [path for path in SFU.rglob("*.pxd") if path.with_suffix(".py").exists()]
    assert not [path for path in pairs if path.parent not in (SFU / "wire", KERNEL)]


def test_functions_of_the_packet_path_fit_on_a_screen() -> None:
    long = [
        f"{source.name}:{node.lineno} {node.name} has {length} lines"
        for source in python("sfu/wire", "sfu/routing/kernel")
        for node in ast.walk(source.tree())
        if isinstance(node, ast.FunctionDef) and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def test_the_kernel_has_one_header_and_no_long_file() -> None:
    headers = list(KERNEL.glob("*.h"))
    assert len(headers) <= 1
    long = [path.name for path in [*headers, *KERNEL.glob("*.pyx")] if lines(path) > LINES]
    assert not long, f"over {LINES} lines: {long}"


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def test_no_file_is_long_without_a_reason() -> None:
    page = ROOT / "ARCHITECTURE.md"
    # A reason is a line "path: why it is better in one piece", as a list item or not.
    given = page.read_text() if page.exists() else ""
    reasons = set(re.findall(r"^[-* ]*`?([\w./-]+\.\w+)`?: *\S", given, re.MULTILINE))
    folders = ("sfu", "control_plane", "benchmarks", "tests", "web")
    endings = {".py", ".pyx", ".pxd", ".h", ".js", ".css", ".html"}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix in endings]
    sized = [(path.relative_to(ROOT).as_posix(), lines(path)) for path in sorted(files)]
    too_long = [f"{name}: {count}" for name, count in sized if count > LINES_WITH_REASON]
    assert not too_long, f"over {LINES_WITH_REASON} lines, for which there is no reason: {too_long}"
    unexplained = [f"{name}: {count}" for name, count in sized if count > LINES and name not in reasons]
    assert not unexplained, f"over {LINES} lines without a line in ARCHITECTURE.md: {unexplained}"


# The judge itself


def test_the_checks_see_what_they_look_for() -> None:
    bad = ast.parse('struct.unpack("!H", b); struct.Struct(">I"); int.from_bytes(b, "big"); struct.pack("<I", 1)')
    assert [reads_network_bytes(node.value) for node in bad.body if isinstance(node, ast.Expr)] == [True] * 3 + [False]
    fields, size = c_layout("    uint8_t live\n    int64_t at_us  # unit\n    uint16_t mid[N]\n", False, {"N": 3})
    assert fields == [("live", "u1", 0), ("at_us", "i8", 8), ("mid", "u2x3", 16)] and size == 24
    twin = np.dtype([("live", "u1"), ("at_us", "i8"), ("mid", "u2", (3,))], align=True)
    assert numpy_layout(twin) == (fields, size)
    assert numpy_layout(np.dtype([("live", "u1"), ("at_us", "i8")])) != c_layout(
        "    uint8_t live\n    int64_t at_us\n", False, {}
    )
    assert side_of("sfu.signalling.sdp") == "node" and side_of("sfu.nobody") is None
    assert [table_name(name) for name in ("Peer", "PEER", "SentPacket")] == ["PEER", "PEER", "SENT_PACKET"]
