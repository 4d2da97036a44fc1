"""The style sheet of a report: light and dark, on a small screen and on paper; nothing is fetched."""

STYLE = """
:root { --ink: #1d2329; --soft: #5d6873; --paper: #fcfcfa; --line: #d9dde1; --accent: #2a63c4;
  --cell: #2a63c4; --good: #17713c; --bad: #ad2a1f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --soft: #9aa5af; --paper: #15191d; --line: #343b42;
  --accent: #6f9fee; --cell: #3f74cf; --good: #5cc084; --bad: #f0857a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; } h3 { font-size: 1rem; }
header p, section > p { color: var(--soft); margin: .4rem 0; }
.verdict { font-weight: 600; font-size: 1.1rem; } p.good { color: var(--good); } p.bad { color: var(--bad); }
.wide { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: break-word; unicode-bidi: plaintext; }
th { color: var(--soft); font-weight: 500; }
td { white-space: pre-wrap; min-width: 4rem; }
th.n, td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
li { overflow-wrap: anywhere; unicode-bidi: plaintext; }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--accent); }
svg { font: 12px system-ui, sans-serif; } svg text { fill: var(--soft); }
.matrix .cell { fill: var(--cell); } .matrix g text { fill: var(--ink); } .matrix g text.on-dark { fill: #fff; }
.loss svg { max-width: 640px; } .loss rect { fill: none; } .loss path { stroke: var(--line); }
.loss polyline { stroke: var(--accent); }
@media print { details { display: none; } }
"""
"""CSS."""
