"""Which modules are compiled; all else about the package stands in pyproject.toml.

Nothing is listed by hand. A `.pyx` is compiled; a `.py` with a `.pxd` of the same name beside it (dual
source) is compiled too and runs uncompiled where no `.so` stands; a lone `.pxd` only declares.

Environment:
  STENTOR_SANITIZE=address  build with AddressSanitizer (`make test-all`), slower by a factor of about 3
  STENTOR_KERNEL=skip       install the package without compiling; `make` builds the kernel in a step of
                            its own, so that a fault in its sources is not reported as a fault of pip
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import setup
from setuptools.extension import Extension

ROOT = Path(__file__).resolve().parent
SANITIZE = os.environ.get("STENTOR_SANITIZE", "")
BUILD = Path("build") / (SANITIZE or "kernel")
# Two files at once: the machines that build this have two cores, and more only costs memory.
JOBS = 2
# No fused multiply-add: the bandwidth estimate must come out bit for bit alike on every machine.
FLAGS = ["-std=gnu11", "-ffp-contract=off", "-Wno-unused-function"]


def sources() -> list[Path]:
    """Every file to compile, relative to the root, in a stable order."""
    found = set()
    for path in (ROOT / "sfu").rglob("*.p[yx][xd]"):
        source = path if path.suffix == ".pyx" else path.with_suffix(".py")
        if source.exists() and not (source.suffix == ".py" and path.with_suffix(".pyx").exists()):
            found.add(source.relative_to(ROOT))
    return sorted(found)


def extension(source: Path) -> Extension:
    optimise = ["-O1", "-g", "-fsanitize=address", "-fno-omit-frame-pointer"] if SANITIZE == "address" else ["-O2"]
    link = ["-fsanitize=address"] if SANITIZE == "address" else []
    return Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        # Without it a changed header leaves the old machine code in place.
        depends=[str(header) for header in Path("sfu").rglob("*.h")],
        include_dirs=[str(source.parent), "sfu/routing/kernel", "sfu/wire", numpy_headers()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
        libraries=["crypto"],
        extra_compile_args=FLAGS + optimise,
        # --as-needed: only what calls libcrypto is bound to it.
        extra_link_args=["-Wl,--as-needed", *link],
    )


def numpy_headers() -> str:
    import numpy

    return numpy.get_include()


def modules() -> list[Extension]:
    found = sources()
    if not found or os.environ.get("STENTOR_KERNEL") == "skip":
        return []
    from Cython.Build import cythonize

    compiled: list[Extension] = cythonize(  # type: ignore[no-untyped-call]
        [extension(source) for source in found],
        build_dir=str(BUILD),
        nthreads=JOBS,
        quiet=True,
        compiler_directives={"language_level": 3},
    )
    return compiled


if __name__ == "__main__":
    if SANITIZE not in ("", "address"):
        raise SystemExit(f"STENTOR_SANITIZE={SANITIZE} is not known; it may be 'address' or empty")
    setup(ext_modules=modules(), options={"build_ext": {"parallel": JOBS, "build_temp": str(BUILD)}})
