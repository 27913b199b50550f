"""What an interruption leaves as exit status, wherever it was in the program."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


@pytest.mark.parametrize("where", ["raise KeyboardInterrupt", "exec('raise KeyboardInterrupt')"])
def test_an_interruption_in_code_made_of_text_ends_with_130_too(where: str, tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        textwrap.dedent(f"""
        from bptt.cli import main
        from bptt.cli.apps import app

        @app.command()
        def stop() -> None:
            {where}

        main()
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted", "stop"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "bptt: interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to one process")
@pytest.mark.parametrize(
    ("sent", "status", "word"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")]
)
@pytest.mark.parametrize("where", ["import", "destructor", "weak reference"])
def test_a_signal_at_a_bad_moment_is_not_lost(
    where: str, sent: str, status: int, word: str, tmp_path: Path
) -> None:
    # In an import its exception would leave the module's lock held, in the others it would be printed and forgotten.
    (tmp_path / "moments.py").write_text(
        textwrap.dedent(f"""
        import signal, threading, time, weakref

        def send():
            signal.raise_signal(signal.{sent})
            return sum(range(10))

        class Thing:
            pass

        class Last:
            def __del__(self):
                send()

        def meet(where):
            if where == "import":
                import meeting
            elif where == "destructor":
                Last()
            else:
                thing = Thing()
                seen = weakref.ref(thing, lambda _: send())
                del thing
            time.sleep(60)
        """)
    )
    (tmp_path / "meeting.py").write_text(
        'import moments, time\nmoments.send()\ntime.sleep(0.1)\nprint("ended", flush=True)\n'
    )
    (tmp_path / "interrupted.py").write_text(
        textwrap.dedent(f"""
        import signal
        # A runner in the background may ignore it, and its children inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        import moments
        from bptt.cli import main
        from bptt.cli.apps import app

        @app.command()
        def stop() -> None:
            moments.meet({where!r})

        main()
        """)
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted", "stop"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, f"bptt: {word}\n")
    assert done.stdout == ("ended\n" if where == "import" else "")
