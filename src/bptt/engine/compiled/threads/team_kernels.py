"""The machine code in which threads share a list of calls: they claim pieces of work and wait for one another's.

A job is an array of 64-bit integers:

====================  ==========================================================================================
word                  holds
====================  ==========================================================================================
`JOINED`              workers that have come so far
`DONE`                pieces that are finished
`YIELD`               address of the system's "let others run", or 0
`MEMBERS`             how many threads there may be: the caller and its workers
`REPEATS`             how often the whole list is gone through
`FLAG`                address of a word that ends the list once it is not 0, or 0
`TOTAL`               pieces of the whole list, all rounds counted
`BOXES`, `WORKERS`    address of the workers' mailboxes, a line each, and how many there are
`WOKEN`               address of a word for each worker: whether the caller has to wake it up
`PHASES`              how many; from `TABLE` on each has a record of `RECORD` words: the kernel's address, its
                      argument array's and how far (bytes) the next member's lies, the slot for the first and the
                      end of a piece (and the round, if there are several), a piece's step, the last end, how many
                      pieces, where (word) its claims are, and how many rounds of them
====================  ==========================================================================================

A phase, and each of its rounds, begins when all pieces of those before it are done. Every member starts with pieces
of its own and then takes what the others have left, so one that comes late or never holds nobody up: the caller alone
would finish the job. What is in one piece is left to the caller.

A worker's mailbox holds `PARKED`, `LINGERING`, a job's address (offered to it), or that plus 1 (it is at it). An offer
that has not been taken when the job is done is taken back, so no worker sees a job that is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from llvmlite import ir

from bptt.engine.compiled.llvm.emitter import I64, POINTER, VOID, Emitter, Lanes, Value
from bptt.engine.compiled.llvm.machine_code import Kernel, load_kernels, new_module

# Words that several threads write lie on cache lines of their own (8 words).
JOINED, DONE, YIELD, MEMBERS, REPEATS, FLAG, TOTAL, BOXES, WORKERS, WOKEN, PHASES, TABLE = (
    0,
    8,
    *range(16, 25),
    32,
)
RECORD, LINE = 9, 8
PARKED, LINGERING = 0, 1

# Looks at a word before the waiting thread lets others run: about 10 microseconds.
SPINS = 200
# How often a worker lets others run before it parks: a fraction of a millisecond, in which the next pass begins.
LINGER = 1000


@cache
def team_kernels() -> dict[str, Kernel]:
    """Return the machine code.

    ``post(job)`` offers a job to workers; ``lead(job)`` is the caller's part and returns when the job is done;
    ``serve(box)`` is a worker's, of an array with its mailbox's address and that of "let others run": it returns when
    there was nothing to do for a while.
    """
    return load_kernels(f"team {SPINS} {LINGER}", ("post", "lead", "serve"), emit_team)


def emit_team(prefix: str = "") -> Any:
    """Return the module."""
    module = new_module("team")
    wait = _emit_wait(module)
    work = _emit_work(module, wait)
    _emit_post(module, prefix)
    _emit_lead(module, prefix, work)
    _emit_serve(module, prefix, work)
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

    def look(self, place: Value) -> Value:
        """Read a word that other threads change."""
        return self.b.load_atomic(place, "acquire", 8, typ=I64)

    def change(self, place: Value, old: Value, new: Value) -> Value:
        """Put `new` in a word that still holds `old`; return whether it did."""
        return self.b.extract_value(self.b.cmpxchg(place, old, new, "acq_rel", "monotonic"), 1)

    def box(self, worker: Value) -> Value:
        """Return where a worker's mailbox is."""
        offset = self.times(worker, self.integer(LINE))
        return self.place(self.b.inttoptr(self.word(BOXES), POINTER), offset)

    def declare(self, name: str, kind: Any) -> Any:
        """Return one of LLVM's own functions."""
        return self._declare(name, kind)

    def is_equal(self, a: Value, b: Value) -> Value:
        """Whether two integers are equal."""
        return self.b.icmp_signed("==", a, b)

    def relax(self, looks: Value, system: Value) -> None:
        """Count a look in vain and let a moment pass: a short one first, later one for others to run.

        Where a machine gives one core for two threads, who spins on keeps the one away that it waits for.
        """
        self.write(self.plus(self.read(looks, I64), self.integer(1)), looks)
        patient = self.b.icmp_signed("<", self.read(looks, I64), self.integer(SPINS))
        short, others, end = (self.function.append_basic_block(n) for n in ("short", "others", "end"))
        self.b.cbranch(self.b.or_(patient, self.is_equal(system, self.integer(0))), short, others)
        self.b.position_at_end(short)
        _pause(self)
        self.b.branch(end)
        self.b.position_at_end(others)
        self.call_at(system, ir.IntType(32))
        self.b.branch(end)
        self.b.position_at_end(end)

    @contextmanager
    def until_left(self) -> Iterator[Any]:
        """Repeat the body; calling what is yielded with a condition leaves the loop there if it holds."""
        body, end = (self.function.append_basic_block(n) for n in ("again", "left"))
        self.b.branch(body)
        self.b.position_at_end(body)

        def leave_if(condition: Value) -> None:
            on = self.function.append_basic_block("on")
            self.b.cbranch(condition, end, on)
            self.b.position_at_end(on)

        yield leave_if
        self.b.branch(body)
        self.b.position_at_end(end)

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
    """Wait until so many pieces are done."""
    e = _Words(module, "wait", 1)
    done, system = e.place(e.job, e.integer(DONE)), e.word(YIELD)
    looks = e.variable(e.integer(0))
    with e.until_left() as leave_if:
        leave_if(e.b.icmp_signed(">=", e.look(done), e.more[0]))
        e.relax(looks, system)
    e.b.ret_void()
    return e.function


def _emit_post(module: Any, prefix: str) -> None:
    """Offer the job to workers that linger, then to parked ones, until there are enough."""
    e = _Words(module, f"{prefix}post", 0, public=True)
    job = e.b.ptrtoint(e.job, I64)
    woken = e.b.inttoptr(e.word(WOKEN), POINTER)
    wanted = e.variable(e.b.sub(e.word(MEMBERS), e.integer(1)))
    for state in (LINGERING, PARKED):
        with e.loop(e.integer(0), e.word(WORKERS)) as k:
            box = e.box(k)
            wants = e.b.icmp_signed(">", e.read(wanted, I64), e.integer(0))
            free = e.b.and_(wants, e.is_equal(e.look(box), e.integer(state)))
            with e.when(free), e.when(e.change(box, e.integer(state), job)):
                e.write(e.b.sub(e.read(wanted, I64), e.integer(1)), wanted)
                if state == PARKED:
                    e.b.store(e.integer(1), e.place(woken, k))
    e.b.ret_void()


def _emit_lead(module: Any, prefix: str, work: Any) -> None:
    """Work, then take back the offers that nobody took and wait for those who did."""
    e = _Words(module, f"{prefix}lead", 0, public=True)
    e.b.call(work, [e.job, e.integer(0)])
    job, system = e.b.ptrtoint(e.job, I64), e.word(YIELD)
    taken = e.plus(job, e.integer(1))
    looks = e.variable(e.integer(0))
    with e.loop(e.integer(0), e.word(WORKERS)) as k:
        box = e.box(k)
        with e.when(e.is_equal(e.look(box), job)):
            e.change(box, job, e.integer(LINGERING))
        with e.until_left() as leave_if:
            leave_if(e.b.icmp_signed("!=", e.look(box), taken))
            e.relax(looks, system)
    e.b.ret_void()


def _emit_serve(module: Any, prefix: str, work: Any) -> None:
    e = _Words(module, f"{prefix}serve", 0, public=True)
    box, system = e.b.inttoptr(e.word(0), POINTER), e.word(1)
    looks = e.variable(e.integer(0))
    with e.until_left() as leave_if:
        offer = e.look(box)
        offered = e.b.icmp_signed(">", offer, e.integer(LINGERING))
        with e.when(offered):
            taken = e.plus(offer, e.integer(1))
            with e.when(e.change(box, offer, taken)):
                job = e.b.inttoptr(offer, POINTER)
                joined = e.b.atomic_rmw("add", e.place(job, e.integer(JOINED)), e.integer(1), "acq_rel")
                e.b.call(work, [job, e.plus(joined, e.integer(1))])
                e.change(box, taken, e.integer(LINGERING))
            e.write(e.integer(0), looks)
        bored = e.b.icmp_signed(">", e.read(looks, I64), e.integer(SPINS + LINGER))
        parked = e.variable(ir.Constant(ir.IntType(1), 0))
        with e.when(bored):
            e.write(e.change(box, e.integer(LINGERING), e.integer(PARKED)), parked)
            e.write(e.integer(0), looks)
        leave_if(e.b.and_(bored, e.read(parked, ir.IntType(1))))
        e.relax(looks, system)
    e.b.ret_void()


def _pause(e: _Words) -> None:
    """Tell the core that this is a loop that waits."""
    machine = str(e.function.module.triple).split("-")[0]
    if machine in ("x86_64", "amd64", "i686"):
        kind = ir.FunctionType(VOID, [])
        e.b.call(e.declare("llvm.x86.sse2.pause", kind), [])
    elif machine.startswith(("aarch64", "arm64")):
        kind = ir.FunctionType(VOID, [ir.IntType(32)])
        yields = ir.Constant(ir.IntType(32), 1)
        e.b.call(e.declare("llvm.aarch64.hint", kind), [yields])


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
            e.b.call(wait, [e.job, e.read(needed, I64)])
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
