"""The `bptt` command."""

from bptt.cli.main import main

__all__ = ["main"]
