"""From LLVM's text to callable machine code, kept on disk between runs.

The key of a kept file is a digest of everything that decides its content: the text of this package, what was asked
for, the processor with its features, and llvmlite's version. A change in any of them is another file, so a stale
kernel cannot be found.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from bptt.engine.compiled.code_cache import keep, kept
from bptt.engine.compiled.target import host

_log = logging.getLogger("bptt.engine.compiled")
_lock = threading.Lock()

# Takes the address of an array of 64-bit integers: sizes and addresses. ctypes lets other threads run meanwhile.
Kernel = Callable[[int], None]
_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def load_kernels(wanted: str, names: tuple[str, ...], emit: Callable[[str], Any]) -> dict[str, Kernel]:
    """Return compiled functions.

    Parameters
    ----------
    wanted : str
        Describes the module completely: equal texts mean equal code.
    names : tuple of str
        Its public functions.
    emit : callable
        From a prefix for the public names to an `llvmlite.ir.Module`; called only if no kept code is found.
    """
    digest = hashlib.sha256(f"{_surroundings()}\n{wanted}".encode()).hexdigest()[:32]
    prefix = f"bptt_{digest}_"
    with _lock:
        code = kept(digest)
        if code is not None:
            try:
                return _link(code, prefix, names)
            except RuntimeError:
                _log.warning("kept kernels %s cannot be read: compiling them again", digest)
        _log.info("compiling kernels: %s", wanted.splitlines()[0])
        code = compile_module(emit(prefix))
        keep(digest, code)
        return _link(code, prefix, names)


def new_module(name: str) -> Any:
    """Return an empty module for this machine."""
    module = ir.Module(name)
    module.triple = llvm.get_process_triple()
    module.data_layout = str(_machine().target_data)
    return module


def compile_module(module: Any) -> bytes:
    """Return the object code of an emitted module."""
    return bytes(_machine().emit_object(optimise(module)))


def optimise(module: Any) -> Any:
    """Return the module as LLVM optimises it."""
    machine = _machine()
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = False  # vectors are emitted, not searched for
    options.slp_vectorization = False
    options.loop_unrolling = False  # tiles fill the registers already; a loop unrolled by LLVM spills them
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return parsed


def assembly(module: Any) -> str:
    """Return the machine instructions of an emitted module, for tests and for the curious."""
    return str(_machine().emit_assembly(optimise(module)))


def _link(code: bytes, prefix: str, names: tuple[str, ...]) -> dict[str, Kernel]:
    engine = _engine()
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    found: dict[str, Kernel] = {}
    for name in names:
        address = engine.get_function_address(prefix + name)
        if not address:
            raise RuntimeError(f"{name} is missing")
        found[name] = _SIGNATURE(address)
    return found


@cache
def _machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(cpu=host().cpu, features=host().features, opt=3, jit=True)


@cache
def _engine() -> Any:
    machine = _machine()
    empty = llvm.parse_assembly("")
    empty.triple = llvm.get_process_triple()
    own = llvm.Target.from_triple(empty.triple).create_target_machine(
        cpu=host().cpu, features=host().features, opt=3, jit=True
    )
    del machine  # the engine owns its machine, so it gets one of its own
    return llvm.create_mcjit_compiler(empty, own)


@cache
def _surroundings() -> str:
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    text = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    target = host()
    return f"{text} {llvmlite.__version__} {llvm.get_process_triple()} {target.cpu} {target.features}"
