"""`python -m bptt` is the `bptt` command."""

from bptt.cli import main

main()
