"""From LLVM's text to callable machine code, kept on disk between runs.

The key of a kept file is a digest of everything that decides its content: the text of every file that has a part in
it, what was asked for, the processor with its features, and the versions of llvmlite and LLVM. A change in any of them
is another file, so a stale kernel cannot be found.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from bptt.engine.compiled.llvm.code_cache import keep, kept
from bptt.engine.compiled.llvm.target import host

_log = logging.getLogger("bptt.engine.compiled")
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child must not be born while another thread compiles: the lock would stay taken, and LLVM's own with it.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

# The package, and what of it decides a kernel's code: cells, formulas, plans and this engine.
PACKAGE = Path(__file__).parents[3]
PARTS = ("*.py", "cells/**/*.py", "engine/**/*.py")

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
    digest = hashlib.sha256(f"{_surroundings()}\n{names}\n{wanted}".encode()).hexdigest()[:32]
    prefix = f"bptt_{digest}_"
    with _lock:
        code = kept(digest)
        if code is None:
            _log.info("compiling for this machine, to be kept for the next run: %s", wanted.splitlines()[0])
            code = compile_module(emit(prefix))
            keep(digest, code)
        return _link(code, prefix, names)


def kernel_address(kernel: Kernel) -> int:
    """Return where a kernel's code begins."""
    found = ctypes.cast(kernel, ctypes.c_void_p).value  # type: ignore[arg-type]  # a ctypes function, as above
    assert found is not None
    return found


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


def try_out() -> None:
    """Compile one function and call it.

    Raises
    ------
    OSError, RuntimeError
        LLVM cannot be loaded, knows no such processor, or computes wrongly.
    """
    module = new_module("trial")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [ir.PointerType()]), "bptt_trial")
    builder = ir.IRBuilder(function.append_basic_block())
    place = function.args[0]
    value = builder.load(place, typ=ir.IntType(64))
    builder.store(builder.add(value, ir.Constant(value.type, 1)), place)
    builder.ret_void()
    number = ctypes.c_int64(41)
    with _lock:
        kernel = _link(compile_module(module), "bptt_", ("trial",))["trial"]
    kernel(ctypes.addressof(number))
    if number.value != 42:
        raise RuntimeError("its code computes wrongly")


@cache
def _surroundings() -> str:
    """Return all that decides the code beside what is asked for."""
    texts = [path.read_bytes() for part in PARTS for path in sorted(PACKAGE.glob(part))]
    if not texts:  # run from an archive: another version's kernels could not be told from ours
        texts.append(secrets.token_bytes())
    # Lengths too, so that a line that moves from one file to the next is a change.
    text = hashlib.sha256(b"".join(b"%d\n%s" % (len(data), data) for data in texts)).hexdigest()
    versions = f"{llvmlite.__version__} {llvm.llvm_version_info}"
    return f"{text} {versions} {llvm.get_process_triple()} {host()}"
