"""Reports: frozen records in, one self-contained HTML file out."""

from bptt.report.blocks import Code, Equations, Picture, Section, TableBlock, Text
from bptt.report.html import render_report, write_report
from bptt.report.sliders import Chart
from bptt.report.training_page import (
    path_profiles,
    render_training_page,
    training_charts,
    write_training_page,
)

__all__ = [
    "Chart",
    "Code",
    "Equations",
    "Picture",
    "Section",
    "TableBlock",
    "Text",
    "path_profiles",
    "render_report",
    "render_training_page",
    "training_charts",
    "write_report",
    "write_training_page",
]
