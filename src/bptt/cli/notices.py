"""What the library logs, as lines of the command on stderr."""

from __future__ import annotations

import logging

import typer


class _Notices(logging.Handler):
    """Writes every warning, and of what is compiled the first: the wait of a first run has a reason."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = True

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if record.levelno < logging.WARNING:
            if not self.waiting:
                return
            self.waiting = False
        typer.echo(f"bptt: {record.getMessage()}", err=True)


_notices = _Notices()


def show_notices() -> None:
    """Write notices from now on."""
    logger = logging.getLogger("bptt")
    if _notices not in logger.handlers:
        logger.addHandler(_notices)
    logging.getLogger("bptt.engine.compiled").setLevel(logging.INFO)


def hush() -> None:
    """Write warnings only."""
    _notices.waiting = False
