"""Reads hostile files with every reader, in a process of its own, and says what became of them, as JSON.

`python -m tests.files.hostile_run FOLDER STRIDE FIRST`: every STRIDE-th of the corpus.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import resource
import signal
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bptt
from bptt.engine.choice import ENGINES
from bptt.errors import BpttError, FileFormatError
from bptt.models import read_extra
from bptt.network import Network, Recurrent
from bptt.training import read_checkpoint, train
from tests.files.hostile import GOLDEN, Hostile, corpus
from tests.golden.cases import Leaky, checkpoint_run

# What no reader does: start a process, take code from a file, write, speak to a network.
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.",
    "pickle.",
    "socket.",
    "shutil.",
)
SECONDS = 10
TEXT = 600

_forbidden: list[str] = []
_watching = [False]


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching[0] and event.startswith(FORBIDDEN):
        _forbidden.append(event)


class Hung(BaseException):
    """A reader took too long."""


def _alarm(_number: int, _frame: Any) -> None:
    raise Hung


class Readers:
    """Everything that opens a model file.

    Parameters
    ----------
    folder : Path
        For what a resumed run writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with np.load(GOLDEN / "checkpoint.npz") as stored:
            self.values = stored["values"]

    def load(self, path: Path) -> None:
        """Load a model, and use it."""
        model = bptt.load(path, cells=[Leaky])
        if isinstance(model, Network):
            model.predict(np.zeros((2, 3, model.input_size)))
        elif isinstance(model, Recurrent):
            model.forward(np.zeros((2, 3, model.input_size)))
        else:
            model.predict()

    def resume(self, path: Path) -> None:
        """Go on with a run."""
        net, settings = checkpoint_run(self.values)
        train(net, **settings, resume=path)

    def each(self, hostile: Hostile) -> list[Callable[[Path], object]]:
        """Return the readers that this file is given to."""
        readers: list[Callable[[Path], object]] = [self.load, read_extra, read_checkpoint]
        return [*readers, self.resume] if hostile.name.startswith("checkpoint") else readers


def main(folder: Path, stride: int, first: int) -> None:
    """Read them, and write to stdout what became of them."""
    # What is read is used, too, and need not be compiled for that.
    ENGINES["auto"] = ENGINES["numpy"]
    path, readers = folder / "hostile", Readers(folder)
    # Everything that is loaded when first used is loaded by now.
    for name in sorted(GOLDEN.glob("*.bptt")):
        readers.load(name)
    readers.resume(GOLDEN / "checkpoint.ckpt")
    sys.addaudithook(_audit)
    signal.signal(signal.SIGALRM, _alarm)
    seen: set[bytes] = set()
    found: dict[str, Any] = {"refused": 0, "harmless": 0, "wrong": [], "most": 0, "worst": ""}
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for hostile in itertools.islice(corpus(), first, None, stride):
        data = hostile.make()
        digest = hashlib.sha256(data).digest()
        if digest in seen:
            continue
        seen.add(digest)
        path.write_bytes(data)
        said = []
        for reader in readers.each(hostile):
            tracemalloc.start()
            said.append(_read(reader, path))
            beyond = tracemalloc.get_traced_memory()[1] - len(data)
            tracemalloc.stop()
            if beyond > found["most"]:
                found["most"], found["worst"] = beyond, hostile.name
        found["wrong"] += [f"{hostile.name}: {each}" for each in said if each not in ("", "refused")]
        accepted = said[0] == "" or said[2] == ""
        if accepted and hostile.refused:
            found["wrong"].append(f"{hostile.name}: accepted")
        found["harmless" if accepted else "refused"] += 1
    found["resident"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident) * 1024
    found["forbidden"] = _forbidden
    json.dump(found, sys.stdout)


def _read(reader: Callable[[Path], object], path: Path) -> str:
    """Return what a reader says: "refused", "" where it takes the file, or what is wrong with its answer."""
    signal.alarm(SECONDS)
    _watching[0] = True
    try:
        reader(path)
    except BpttError as error:
        text = str(error)
        # A model that was read may be refused a forecast for a reason of its own.
        if type(error) is not FileFormatError and reader.__name__ != "load":
            return f"{reader.__name__} raised {type(error).__name__}"
        if not text.isprintable() or len(text) > TEXT:
            return f"{reader.__name__} said {text[:TEXT]!r}"
        return "refused"
    except Hung:
        return f"{reader.__name__} took more than {SECONDS} s"
    except Exception as error:  # noqa: BLE001 # whatever else: that is what is looked for
        return f"{reader.__name__} raised {type(error).__name__}: {error!s:.80}"
    finally:
        _watching[0] = False
        signal.alarm(0)
    return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
