"""The look of a report: one style sheet, colours shared with the pictures."""

from __future__ import annotations

from bptt.plots.style import DARK, LIGHT, Theme


def style_sheet() -> str:
    """Return the style sheet: light, dark where the reader's system asks for it, narrow, wide, and print."""
    return _RULES.replace("/*light*/", _variables(LIGHT)).replace("/*dark*/", _variables(DARK))


def _variables(theme: Theme) -> str:
    tint = {"light": "#f4f6f8", "dark": "#1e2227"}[theme.name]
    best = {"light": "#e8f1f8", "dark": "#1b2c38"}[theme.name]
    return (
        f"--paper:{theme.background};--ink:{theme.ink};--muted:{theme.muted};--rule:{theme.grid};"
        f"--accent:{theme.colours[0]};--warning:{theme.warning};--tint:{tint};--best:{best}"
    )


# overflow-x on .scroll alone: a wide table or line of code moves within its own box, the page never does.
_RULES = """\
:root{color-scheme:light dark;/*light*/}
@media screen and (prefers-color-scheme:dark){:root{/*dark*/}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);line-height:1.55;overflow-wrap:break-word;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-size:1rem}
.page{max-width:56rem;margin:0 auto;padding:2.5rem 1.25rem 3rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .6rem;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.3rem;line-height:1.3;margin:2.75rem 0 .75rem;padding-top:1.25rem;
border-top:1px solid var(--rule)}
p{margin:0 0 .9rem;max-width:42rem}
.lead p{font-size:1.125rem;color:var(--muted)}
nav ul{display:flex;flex-wrap:wrap;gap:.35rem 1.25rem;list-style:none;
margin:1.25rem 0 0;padding:0;font-size:.95rem}
a{color:var(--accent);text-underline-offset:.2em}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.box{border-left:4px solid var(--accent);background:var(--tint);padding:.8rem 1rem;margin:0 0 1.1rem;
border-radius:0 4px 4px 0}
.box p:last-child{margin-bottom:0}
.box.warning{border-color:var(--warning)}
.box.warning strong{color:var(--warning)}
.scroll{overflow-x:auto;margin:0 0 1.1rem}
table{border-collapse:collapse;width:100%;font-size:.95rem;line-height:1.4}
th,td{padding:.45rem .75rem;text-align:left;vertical-align:baseline;border-bottom:1px solid var(--rule)}
th:first-child,td:first-child{padding-left:.5rem}
thead th{font-weight:600;border-bottom:2px solid var(--muted);vertical-align:bottom}
tbody th{font-weight:400;min-width:9rem}
tbody td:not(.number){min-width:6rem}
.number{text-align:right;font-variant-numeric:tabular-nums}
td.number{white-space:nowrap}
tr.highlight th,tr.highlight td{font-weight:700;background:var(--best)}
tr.losing th,tr.losing td{color:var(--warning)}
.equations td{border:0;padding:.45rem .75rem}
.equations .formula{white-space:nowrap;font-size:1.1rem}
.equations .remark{color:var(--muted);font-size:.9rem}
figure{margin:0 0 1.5rem}
figure img{display:block;max-width:100%;height:auto}
.for-dark{display:none}
@media screen and (prefers-color-scheme:dark){.for-light{display:none}.for-dark{display:inline}}
figcaption{color:var(--muted);font-size:.9rem;margin:.5rem 0;max-width:42rem}
figure .scroll{margin:0}
pre{margin:0;padding:.8rem 1rem;background:var(--tint);border-radius:4px;width:max-content;min-width:100%;
font:.875rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--rule);color:var(--muted);font-size:.875rem}
footer p{max-width:none}
@media (max-width:480px){
.page{padding:1.5rem 1rem 2rem}
h1{font-size:1.55rem}
h2{font-size:1.2rem;margin-top:2rem}
.lead p{font-size:1.05rem}
th,td{padding:.4rem .55rem}
.equations tr,.equations td{display:block}
.equations .remark{padding-top:0}
}
@media print{
body{font-size:10.5pt}
.page{max-width:none;padding:0}
nav{display:none}
.scroll{overflow:visible}
pre{white-space:pre-wrap;width:auto;border:1px solid var(--rule)}
h2{break-after:avoid}
picture,tr,.box,pre{break-inside:avoid}
figcaption:first-child{break-after:avoid}
picture+figcaption{break-before:avoid}
.box,tr.highlight th,tr.highlight td{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
"""
