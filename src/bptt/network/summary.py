"""A network in words: its parameters, and what a number meets on its way through."""

from __future__ import annotations

from collections.abc import Mapping

from bptt.checks import Array
from bptt.network.design import Design


def summarise(net: Design, parameters: Mapping[str, Array]) -> str:
    """Return a table of parameters and a line a part."""
    stack = net.recurrent
    lines = [
        f"input       (B, T, {net.input_size})" + (f" + {net.output_size} fed back" if net.feedback else ""),
        f"recurrent   {stack.cell!r}, {stack.num_layers} layer(s), {stack.direction}, hidden {stack.hidden_size}",
        f"readout     {net.readout}, {net.output_activation} -> {net.output_size}",
    ]
    if net.linear_lags:
        lines.append(f"linear path newest {net.linear_lags} rows -> {net.output_size}")
    if net.change_of is not None:
        lines.append(
            f"change      added to the last value of columns {list(net.change_of)}, x {net.change_scale:g}"
        )
    lines.append(f"loss        {net.loss!r}")
    width = max(len(name) for name in parameters)
    lines.append("")
    lines.append(f"{'parameter':<{width}}  {'shape':>14}  {'numbers':>9}")
    for name, p in parameters.items():
        lines.append(f"{name:<{width}}  {p.shape!s:>14}  {p.size:>9,}")
    total = sum(p.size for p in parameters.values())
    size = sum(p.nbytes for p in parameters.values())
    lines.append(f"{'total':<{width}}  {net.dtype.name:>14}  {total:>9,}   {size / 1024:.1f} KiB")
    return "\n".join(lines)
