"""The machine code in which threads share a list of calls: they claim pieces of work and wait for one another's.

A job is an array of 64-bit integers:

====================  ==========================================================================================
word                  holds
====================  ==========================================================================================
`STATE`               minus the workers inside; `CLOSED` is added when nobody may come in any more
`JOINED`              workers that have come in so far
`DONE`                pieces that are finished
`YIELD`               address of the system's "let others run", or 0
`MEMBERS`             how many threads there may be: the caller and its workers
`REPEATS`             how often the whole list is gone through
`FLAG`                address of a word that ends the list once it is not 0, or 0
`TOTAL`               pieces of the whole list, all rounds counted
`PHASES`              how many; from `TABLE` on each has a record of `RECORD` words: the kernel's address, the address of
                      its argument array and how far (bytes) the next member's lies, the slot for the first and the
                      end of a piece (and the round, if there are several), a piece's step, the last end, how many
                      pieces, where (word) its claims are, and how many rounds of them
====================  ==========================================================================================

A phase, and each of its rounds, begins when all pieces of those before it are done. Every member starts with pieces of
its own and then takes what the others have left, so one that comes late or never holds nobody up: the caller alone would
finish the job. What is in one piece is left to the caller.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir

from bptt.engine.compiled.emitter import I64, POINTER, VOID, Emitter, Lanes, Value
from bptt.engine.compiled.machine_code import Kernel, load_kernels, new_module

# Words that several threads write lie on cache lines of their own (8 words).
STATE, JOINED, DONE, YIELD, MEMBERS, REPEATS, FLAG, TOTAL, PHASES, TABLE = (
    0,
    8,
    16,
    24,
    25,
    26,
    27,
    28,
    29,
    32,
)
RECORD, LINE = 9, 8
CLOSED = 2**32

# Looks at a word before the waiting thread lets others run: about 10 microseconds.
SPINS = 200


@cache
def team_kernels() -> dict[str, Kernel]:
    """Return ``lead(job)`` for the caller, which returns when the job is done, and ``join(job)`` for a worker."""
    return load_kernels(f"team {SPINS}", ("lead", "join"), emit_team)


def emit_team(prefix: str = "") -> Any:
    """Return the module."""
    module = new_module("team")
    wait = _emit_wait(module)
    work = _emit_work(module, wait)

    e = _Words(module, f"{prefix}lead", 0, public=True)
    e.b.call(work, [e.job, e.integer(0)])
    e.count(STATE, CLOSED)
    e.b.call(wait, [e.job, e.integer(STATE), e.integer(CLOSED)])
    e.b.ret_void()

    e = _Words(module, f"{prefix}join", 0, public=True)
    with e.when(e.b.icmp_signed("<=", e.count(STATE, -1), e.integer(0))):
        member = e.plus(e.count(JOINED, 1), e.integer(1))
        with e.when(e.b.icmp_signed("<", member, e.word(MEMBERS))):
            e.b.call(work, [e.job, member])
    e.count(STATE, 1)
    e.b.ret_void()
    return module


class _Words(Emitter):
    """A function ``name(job, ...)``."""

    def __init__(self, module: Any, name: str, more: int, *, public: bool = False) -> None:
        function = ir.Function(module, ir.FunctionType(VOID, [POINTER] + [I64] * more), name)
        function.attributes.add("nounwind")
        if not public:
            function.linkage = "internal"
            function.attributes.add("noinline")
        super().__init__(function, Lanes("float", 1))
        self.job, *self.more = function.args

    def place(self, array: Value, index: Value) -> Value:
        """Address of a word of an array."""
        return self.b.gep(array, [index], source_etype=I64)

    def word(self, index: int) -> Value:
        """Read a word of the job that nobody changes."""
        return self.b.load(self.place(self.job, self.integer(index)), typ=I64)

    def field(self, phase: Value, field: int) -> Value:
        """Read a word of a phase's record."""
        index = self.plus(self.times(phase, self.integer(RECORD)), self.integer(TABLE + field))
        return self.b.load(self.place(self.job, index), typ=I64)

    def count(self, index: int, more: int) -> Value:
        """Add to a word that several threads change; return what was there."""
        return self.b.atomic_rmw(
            "add", self.place(self.job, self.integer(index)), self.integer(more), "acq_rel"
        )

    def call_at(self, address: Value, result: Any, *arguments: Value) -> None:
        """Call the function at an address."""
        kind = ir.FunctionType(result, [a.type for a in arguments])
        self.b.call(self.b.inttoptr(address, ir.PointerType(kind)), arguments)


def _emit_wait(module: Any) -> Any:
    """Wait until a word of the job is at least `goal`: look for a while, then let others run between looks.

    Where a machine gives one core for two threads, who spins on keeps the one away that it waits for.
    """
    e = _Words(module, "wait", 2)
    index, goal = e.more
    word, system = e.place(e.job, index), e.word(YIELD)
    look, again, tired, end = (e.function.append_basic_block(n) for n in ("look", "again", "tired", "end"))
    looks = e.variable(e.integer(0))
    e.b.branch(look)
    e.b.position_at_end(look)
    e.b.cbranch(e.b.icmp_signed(">=", e.b.load_atomic(word, "acquire", 8, typ=I64), goal), end, again)
    e.b.position_at_end(again)
    e.write(e.plus(e.read(looks, I64), e.integer(1)), looks)
    _pause(e)
    patient = e.b.icmp_signed("<", e.read(looks, I64), e.integer(SPINS))
    e.b.cbranch(e.b.or_(patient, e.b.icmp_signed("==", system, e.integer(0))), look, tired)
    e.b.position_at_end(tired)
    e.call_at(system, ir.IntType(32))
    e.b.branch(look)
    e.b.position_at_end(end)
    e.b.ret_void()
    return e.function


def _pause(e: Emitter) -> None:
    """Tell the core that this is a loop that waits."""
    machine = str(e.function.module.triple).split("-")[0]
    if machine in ("x86_64", "amd64", "i686"):
        kind = ir.FunctionType(VOID, [])
        e.b.call(ir.Function(e.function.module, kind, "llvm.x86.sse2.pause"), [])
    elif machine.startswith(("aarch64", "arm64")):
        kind = ir.FunctionType(VOID, [ir.IntType(32)])
        yields = ir.Constant(ir.IntType(32), 1)
        e.b.call(ir.Function(e.function.module, kind, "llvm.aarch64.hint"), [yields])


def _emit_work(module: Any, wait: Any) -> Any:
    """Go through the phases as member number `member`."""
    e = _Words(module, "work", 1)
    (member,) = e.more
    members, total, flag = e.word(MEMBERS), e.word(TOTAL), e.word(FLAG)
    # Who comes late begins where the others are.
    done = e.b.load_atomic(e.place(e.job, e.integer(DONE)), "acquire", 8, typ=I64)
    begun = e.b.sdiv(done, total)
    needed = e.variable(e.times(begun, total))
    with e.loop(begun, e.word(REPEATS)) as repeat, e.loop(e.integer(0), e.word(PHASES)) as p:
        kernel, first_array, apart, slot, step, last, pieces, claims, rounds = (
            e.field(p, k) for k in range(RECORD)
        )
        arguments = e.b.inttoptr(e.plus(first_array, e.times(member, apart)), POINTER)
        own = e.b.sdiv(e.times(member, pieces), members)
        alone = e.b.icmp_signed("==", pieces, e.integer(1))
        idle = e.b.and_(alone, e.b.icmp_signed("!=", member, e.integer(0)))
        tried = e.b.select(idle, e.integer(0), pieces)
        with e.loop(e.integer(0), rounds) as turn:
            e.b.call(wait, [e.job, e.integer(DONE), e.read(needed, I64)])
            _leave_if_flagged(e, flag)
            with e.when(e.b.icmp_signed(">", rounds, e.integer(1))):
                e.b.store(turn, e.place(arguments, e.plus(slot, e.integer(2))))
            mark = e.plus(e.times(repeat, rounds), turn)
            with e.loop(e.integer(0), tried) as i:
                piece = e.b.srem(e.plus(own, i), pieces)
                claim = e.place(e.job, e.plus(claims, e.times(piece, e.integer(LINE))))
                free = e.b.icmp_signed("==", e.b.load_atomic(claim, "monotonic", 8, typ=I64), mark)
                with e.when(free):
                    following = e.plus(mark, e.integer(1))
                    found = e.b.cmpxchg(claim, mark, following, "acq_rel", "monotonic")
                    with e.when(e.b.extract_value(found, 1)):
                        with e.when(e.b.icmp_signed(">=", slot, e.integer(0))):
                            first = e.times(piece, step)
                            end = e.least(e.plus(first, step), last)
                            e.b.store(first, e.place(arguments, slot))
                            e.b.store(end, e.place(arguments, e.plus(slot, e.integer(1))))
                        e.call_at(kernel, VOID, arguments)
                        e.count(DONE, 1)
            e.write(e.plus(e.read(needed, I64), pieces), needed)
    e.b.ret_void()
    return e.function


def _leave_if_flagged(e: _Words, flag: Value) -> None:
    """Return if a kernel has ended the list. Whoever still works on the phase that did so finishes it."""
    with e.when(e.b.icmp_signed("!=", flag, e.integer(0))):
        word = e.b.load_atomic(e.b.inttoptr(flag, POINTER), "monotonic", 8, typ=I64)
        with e.when(e.b.icmp_signed("!=", word, e.integer(0))):
            e.b.ret_void()
            e.b.position_at_end(e.function.append_basic_block("unreached"))
