"""Reports: frozen records in, one self-contained HTML file out."""

from bptt.report.blocks import Code, Equations, Picture, Section, TableBlock, Text
from bptt.report.html import render_report, write_report

__all__ = ["Code", "Equations", "Picture", "Section", "TableBlock", "Text", "render_report", "write_report"]
