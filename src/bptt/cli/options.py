"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option("--seed", min=0, help="First of the seeds.")]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How many seeds each trained method runs with.")]
Out = Annotated[Path, typer.Option("--out", help="Folder for the report, the pictures and the models.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON here; - is stdout.")]
Notation = Annotated[
    str,
    typer.Option(
        "--notation", help="Letters of tables, pictures and derivation: ours, or seed (the document's own)."
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress, no table: only the paths of what was written.")
]
