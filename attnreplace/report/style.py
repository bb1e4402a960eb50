"""The page's style sheet."""

from attnreplace.report.palette import DARK, LIGHT


def _variables(colors: dict[str, str]) -> str:
    return "".join(f"--{role}:{color};" for role, color in colors.items())


CSS = f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)}
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
* {{ box-sizing: border-box; }}
html {{ -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }}
body {{ margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 var(--font); }}
.page {{ max-width: 1120px; margin: 0 auto; padding: 0 1rem 4rem; }}
header {{ padding: 2.5rem 0 0; }}
h1, h2, h3 {{ line-height: 1.25; letter-spacing: -0.01em; text-wrap: balance;
  overflow-wrap: anywhere; }}
h1 {{ font-size: 1.9rem; margin: 0 0 .4rem; }}
h2 {{ font-size: 1.35rem; margin: 0 0 .4rem; }}
h3 {{ font-size: 1rem; margin: 0 0 .25rem; }}
p {{ margin: 0 0 .9rem; max-width: 68ch; }}
section {{ margin-top: 3.5rem; scroll-margin-top: 1rem; }}
a {{ color: var(--series-0); text-underline-offset: .2em; }}
code, pre {{ font-family: var(--mono); font-size: .82rem; }}
code {{ overflow-wrap: anywhere; }}
:focus-visible {{ outline: 2px solid var(--series-0); outline-offset: 2px; }}
.quiet {{ color: var(--muted); }}
.small {{ color: var(--muted); font-size: .875rem; line-height: 1.5; }}
.lead {{ font-size: 1.1rem; max-width: 60ch; }}
.missing {{ color: var(--muted); border-left: 3px solid var(--rule); padding-left: .9rem; }}
nav ul {{ display: flex; flex-wrap: wrap; gap: 0 1.25rem; list-style: none; margin: 1.5rem 0 0;
  padding: 0; border-bottom: 1px solid var(--rule); }}
nav a {{ display: block; padding: .65rem 0; text-decoration: none; color: var(--muted);
  font-size: .9rem; }}
nav a:hover {{ color: var(--ink); }}

.cards {{ display: grid; gap: .75rem; margin: 1.5rem 0 1rem; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); }}
.card {{ background: var(--panel); border-radius: 10px; padding: 1rem 1.1rem; }}
.card dt {{ color: var(--muted); font-size: .85rem; }}
.card dd {{ margin: 0; }}
.card .figure {{ font-size: 2rem; font-weight: 650; line-height: 1.3;
  font-variant-numeric: tabular-nums; letter-spacing: -0.02em; }}
.card .note {{ font-size: .85rem; line-height: 1.4; overflow-wrap: anywhere; }}
.card .meter {{ height: 4px; margin: .5rem 0 .6rem; border-radius: 2px; background: var(--rule); }}
.card .meter span {{ display: block; height: 100%; border-radius: 2px; background: var(--muted); }}
.card.chief .figure {{ color: var(--series-0); }}
.card.chief .meter span {{ background: var(--series-0); }}

.scroll {{ overflow-x: auto; margin: .75rem 0 1rem; overscroll-behavior-x: contain; }}
table {{ border-collapse: separate; border-spacing: 0; width: 100%; font-size: .9rem;
  line-height: 1.4; font-variant-numeric: tabular-nums lining-nums; }}
caption {{ text-align: left; font-weight: 600; padding-bottom: .4rem; }}
caption .quiet {{ font-weight: 400; }}
th, td {{ padding: .42rem .75rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid color-mix(in srgb, var(--rule) 60%, transparent); }}
thead th {{ vertical-align: bottom; font-weight: 500; color: var(--muted); font-size: .8rem;
  white-space: normal; min-width: 4.6rem; }}
th:first-child, .text {{ text-align: left; }}
th:first-child {{ position: sticky; left: 0; z-index: 1; background: var(--paper);
  padding-left: 0; font-weight: 500; }}
tbody th {{ font-weight: 500; }}
tbody tr:hover > * {{ background: var(--panel); }}
tr.group > * {{ border-top: 1px solid color-mix(in srgb, var(--muted) 55%, transparent); }}
tr.scope th {{ padding-top: 1.1rem; font-weight: 650; }}
tr.best th, tr.best td {{ font-weight: 700; }}
td.text {{ white-space: normal; min-width: 7rem; max-width: 34rem; }}
td code {{ overflow-wrap: normal; white-space: nowrap; }}

.figures {{ display: grid; gap: 2.5rem 2rem; grid-template-columns: minmax(0, 1fr); }}
figure {{ margin: 0; min-width: 0; max-width: 640px; }}
.alone figure {{ max-width: none; }}
figcaption {{ margin-bottom: .6rem; }}
svg {{ display: block; width: 100%; height: auto; stroke-linejoin: round; }}
svg text {{ font-variant-numeric: tabular-nums; }}
.narrow {{ display: none; }}
@media (min-width: 1000px) {{
  .figures {{ grid-template-columns: repeat(2, minmax(0, 1fr)); }}
  .figures.alone {{ grid-template-columns: minmax(0, 780px); }}
}}
@media (min-width: 541px) {{
  #settings tbody th {{ white-space: normal; min-width: 12rem; overflow-wrap: break-word; }}
}}
@media (max-width: 540px) {{
  .wide {{ display: none; }}
  .narrow {{ display: block; }}
  h1 {{ font-size: 1.6rem; }}
  header {{ padding-top: 1.75rem; }}
  section {{ margin-top: 2.75rem; }}
  th, td {{ padding: .45rem .55rem; }}
  th:first-child {{ max-width: 9.5rem; min-width: 5.8rem; white-space: normal;
    overflow-wrap: break-word;
    border-right: 1px solid var(--rule); }}
  .cards {{ grid-template-columns: repeat(2, minmax(0, 1fr)); }}
  .card {{ padding: .8rem .9rem; }}
  .card .figure {{ font-size: 1.6rem; }}
}}

.sample {{ border-top: 1px solid var(--rule); padding: 1.4rem 0 1.6rem; }}
.given, .systems {{ display: grid; gap: 1rem 2rem; margin: 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }}
.systems {{ gap: .75rem; margin-top: 1.1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }}
.systems > div {{ background: var(--panel); border-radius: 8px; padding: .7rem .9rem; }}
.sample dt {{ color: var(--muted); font-size: .8rem; }}
.sample dd {{ margin: 0; overflow-wrap: anywhere; line-height: 1.5; }}
.systems dd {{ font-size: .95rem; }}
mark {{ background: none; color: inherit; text-decoration: underline;
  text-decoration-color: var(--series-1); text-decoration-thickness: 2px;
  text-underline-offset: .22em; text-decoration-skip-ink: none; }}

details {{ border-top: 1px solid var(--rule); }}
details:last-of-type {{ border-bottom: 1px solid var(--rule); }}
summary {{ padding: .7rem 0; cursor: pointer; font-weight: 500; }}
figure details {{ border: 0; font-size: .875rem; }}
details > .scroll {{ margin-top: 0; }}
details ul {{ margin: 0 0 1rem; padding-left: 1.2rem; }}
pre {{ overflow-x: auto; background: var(--panel); border-radius: 8px; padding: 1rem;
  line-height: 1.5; margin: 0 0 1rem; }}
footer {{ margin-top: 3rem; }}
@media print {{ nav {{ display: none; }} section {{ break-inside: avoid-page; }} }}
"""
