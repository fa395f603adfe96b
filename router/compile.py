"""`python -m router.compile`: builds the data plane's hot modules with mypyc, from the source as it stands.

The compiled build runs the same Python, some 15 to 25 % faster, and is never needed (docs/decisions/0014). It takes a C compiler,
the interpreter's headers, and mypy with setuptools, half a minute, and no change to the source tree but one ignored folder.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from router.compiled import COMPILED, MANIFEST, PACKAGE, SUFFIX, choose_build, digest, folder_of

# What a request passes. Plain stay the poller, for asyncio's selectors are its base; the pool, which tests replace; the model:
# who looks at the fields of its dataclasses expects what the source says.
MODULES = tuple(
    f"router.{name}"
    for name in (
        *("http1.grammar", "http1.sender", "http1.usual", "http1.prefix", "http1.fields", "http1.request", "http1.response"),
        *("http1.body", "wake", "sticky", "streams", "exchange", "attempt", "room", "estimate", "gate", "balance", "live"),
        *(
            "table",
            "switchboard",
            "identity",
            "meters",
            "wire.buffer",
            "wire.outlet",
            "wire.client_socket",
            "wire.client_answers",
        ),
        *("wire.client", "wire.upstream_socket", "wire.upstream", "wire.listener"),
    )
)
MADE_OF = (*MODULES, "router.compile")
ROOMS = ("router", "autoscaler")  # what mypyc reads for the types


class CannotCompile(Exception):
    """This machine has not what it takes; the message says what is missing."""


def missing() -> str:
    """What a build would need and this machine has not; empty: nothing."""
    compiler = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    if not (shutil.which(compiler) or shutil.which("cc")):
        return f"no C compiler ({compiler})"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "no Python.h (on Debian and Ubuntu, apt-get install python3-dev)"
    gone = [name for name in ("mypyc", "setuptools") if importlib.util.find_spec(name) is None]
    return f"no {gone[0]} (pip install mypy setuptools)" if gone else ""


def build() -> Path:
    """Compile, see that the result can be imported, and put it where it is found; returns its folder. Raises CannotCompile."""
    if found := missing():
        raise CannotCompile(found)
    source = digest(MADE_OF)
    with tempfile.TemporaryDirectory(prefix="router-compile-") as place:
        work = Path(place)
        for room in ROOMS:
            shutil.copytree(PACKAGE.parent / room, work / room, ignore=shutil.ignore_patterns("_compiled", "__pycache__", "kube"))
        _run_mypyc(work)
        made = (work / "out").rglob("*" + SUFFIX)
        return _install({".".join(file.relative_to(work / "out").parts).removesuffix(SUFFIX): file for file in made}, source)


def _run_mypyc(work: Path) -> None:
    """In a process of its own: setuptools and mypy leave much behind. Raises CannotCompile with what the compiler said."""
    program = (
        "import sys; from setuptools import setup; from mypyc.build import mypycify; "
        "setup(name='router', packages=[], script_args=['-q', 'build_ext', '--build-lib', 'out', '--build-temp', 'tmp'], "
        "ext_modules=mypycify(['--config-file=', *sys.argv[1:]], opt_level='3', debug_level='0', group_name='router'))"
    )
    files = [module.replace(".", "/") + ".py" for module in MODULES]
    environ = {**os.environ, "CLOUDBASE_PLAIN": "1", "PYTHONPATH": str(work)}
    run = subprocess.run([sys.executable, "-c", program, *files], cwd=work, env=environ, capture_output=True, text=True)
    if run.returncode:
        raise CannotCompile(f"mypyc or the C compiler failed:\n{run.stdout}{run.stderr}")


def _install(files: dict[str, Path], source: str) -> Path:
    """Put the build in place in one step, once a fresh interpreter has imported it."""
    folder = folder_of()
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    try:
        for module, file in files.items():
            shutil.copyfile(file, fresh / (module + SUFFIX))
        manifest = {"source": source, "modules": MADE_OF, "files": {module: module + SUFFIX for module in sorted(files)}}
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=1))
        _try(fresh)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _try(folder: Path) -> None:
    """Import the whole data plane from it. Raises CannotCompile."""
    program = (
        "import sys; from pathlib import Path; from router import compiled; "
        "compiled.folder_of = lambda: Path(sys.argv[1]); assert compiled.choose_build({}) == compiled.COMPILED; "
        "import router.dataplane"
    )
    environ = {**os.environ, "CLOUDBASE_PLAIN": "1"}
    run = subprocess.run([sys.executable, "-c", program, str(folder)], env=environ, capture_output=True, text=True)
    if run.returncode:
        raise CannotCompile(f"the compiled build cannot be imported:\n{run.stderr}")


def main() -> int:
    """Exit status: 0 when there is a compiled build, or none was possible and `--try` was given; else 1."""
    parser = argparse.ArgumentParser(prog="python -m router.compile", description=__doc__)
    parser.add_argument("--try", dest="trying", action="store_true", help="no error where it cannot be done")
    parser.add_argument("--once", action="store_true", help="do nothing when there is a build already, even of an older source")
    options = parser.parse_args()
    if choose_build({}) == COMPILED or (options.once and (folder_of() / MANIFEST).exists()):
        return 0
    print("compiling the router (half a minute, once) …", file=sys.stderr, flush=True)
    try:
        print(f"compiled: {os.path.relpath(build())}", file=sys.stderr)
    except CannotCompile as error:
        print(f"the router stays plain Python: {error}", file=sys.stderr)
        return 0 if options.trying else 1
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
