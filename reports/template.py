"""The page's frame and style. ``$name`` is filled by ``page``; nothing here refers to anything outside the file."""

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$headline</h1>
<p class="lead">$summary</p>
$sections
</main>
</body>
</html>
""")

# Of figures that stand two beside one another.
WIDE = "grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr))"

STYLE = """
:root { --ink: #1b1f24; --soft: #57606a; --line: #d5dae0; --card: #f5f7f9; --paper: #ffffff; --warn: #b34700; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --soft: #9aa4ae; --line: #383f47; --card: #1e2328; --paper: #14171a; --warn: #f0a35e; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 8px; text-wrap: balance; }
h2 { font-size: 19px; margin: 40px 0 8px; }
h3 { font-size: 15px; margin: 0 0 6px; }
p { margin: 6px 0; max-width: 90ch; overflow-wrap: anywhere; }
.lead, .help, .soft { color: var(--soft); }
.help { font-size: 13px; }
.warn { color: var(--warn); font-weight: 600; }
code, pre, .net { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 12.5px; }
pre { background: var(--card); padding: 10px 12px; border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 360px), 1fr)); gap: 12px 20px; }
figure { margin: 0; min-width: 0; }
.key { max-width: none; }
.key span { display: inline-block; margin-right: 18px; }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 50%; margin-right: 6px; }
.key i.stairs { width: 20px; height: 0; border-radius: 0; border-top: 2px solid; vertical-align: middle; }
.key i.diamond { border-radius: 0; transform: rotate(45deg) scale(0.8); }
.key i.open { border: 2px solid; }
.key i.cross { border-radius: 0; width: auto; height: auto; }
.key i.cross::before { content: "\\00d7"; font: 700 17px/11px system-ui, sans-serif; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: 13px; color: var(--soft); font-weight: 600; }
th, td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.word { white-space: nowrap; }
.net span { display: inline-block; white-space: nowrap; margin-right: 1ch; }
summary { cursor: pointer; color: var(--soft); padding: 6px 0; }
.cards { columns: 340px; column-gap: 16px; margin-top: 12px; }
.card { background: var(--card); border-radius: 6px; padding: 12px 14px; break-inside: avoid; margin-bottom: 16px; }
dl { display: grid; grid-template-columns: minmax(90px, auto) 1fr; gap: 2px 14px; margin: 0; font-size: 13.5px; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
/* Plotly writes its colours into the drawing; these follow the reader's light or dark setting instead. */
.xtick text, .ytick text, .xtitle, .ytitle, .legendtext, .textpoint text { fill: var(--ink) !important; }
@media (max-width: 720px) {
  main { padding: 16px 14px 48px; }
  h1 { font-size: 21px; }
  thead { display: none; }
  tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 4px 12px; padding: 10px 0;
       border-bottom: 1px solid var(--line); }
  td, td.number { border: 0; padding: 0; text-align: left; white-space: normal; }
  td::before { content: attr(data-name); display: block; color: var(--soft);
               font-size: 12px; font-family: system-ui, sans-serif; }
  td.wide { grid-column: 1 / -1; }
  .textpoint { display: none; }
}
"""
