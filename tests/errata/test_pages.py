"""docs/errata.md and docs/seeds.md name tests and commands that exist, and every proof is on the page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ERRATA = (ROOT / "docs" / "errata.md").read_text(encoding="utf-8")
SEEDS = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ENTRY = re.compile(r"^### (\d+)\. ", re.MULTILINE)


def names_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", [ERRATA, SEEDS], ids=["errata", "seeds"])
def test_every_test_that_is_named_exists(page: str) -> None:
    named = set(TEST.findall(page))
    assert len(named) > 20
    for file in {file for file, _ in named}:
        assert {name for other, name in named if other == file} <= names_in(file), file


def test_entries_are_numbered_and_proven() -> None:
    numbers = [int(n) for n in ENTRY.findall(ERRATA)]
    assert numbers == list(range(1, len(numbers) + 1))
    sections = ENTRY.split(ERRATA)[2::2]
    for number, section in zip(numbers, sections, strict=True):
        text = section.split("\n## ")[0].partition("Proof:")[2]
        proofs = [name for _, name in TEST.findall(text)]
        assert proofs, number
        assert all(name.startswith(f"test_{number:02}_") for name in proofs), number


def test_every_proof_is_on_the_page() -> None:
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.name == Path(__file__).name:
            continue
        file = path.relative_to(ROOT).as_posix()
        wanted = {name for name in names_in(file) if re.match(r"test_(\d\d|remark)_", name)}
        assert wanted
        assert wanted <= {name for other, name in TEST.findall(ERRATA) if other == file}, file


def test_every_row_of_the_seeds_has_a_status() -> None:
    rows = [line.strip("| ").split(" | ") for line in SEEDS.splitlines() if line.startswith("| ")]
    items = [row for row in rows if len(row) >= 3 and row[0] not in ("lines", "---")]
    assert len(items) > 60
    for row in items:
        assert len(row) == 4, row
        assert row[1] in ("done", "open", "no code"), row
        # What is done says by what.
        assert row[1] != "done" or TEST.search(row[3]) or "`bptt " in row[3], row
