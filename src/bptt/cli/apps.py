"""The command's two groups; each command's module registers itself on one of them."""

from __future__ import annotations

import typer

# Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130

app = typer.Typer(
    name="bptt",
    help="Recurrent networks by backpropagation through time: equations by hand, checked by machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
lab = typer.Typer(
    help="Reproduce a lab on real data: progress, a table, pictures, one report.", no_args_is_help=True
)
app.add_typer(lab, name="lab")
