"""Small SVG plots, readable on light and on dark ground."""

from html import escape

STYLE = """<style>
text{font:12px system-ui,sans-serif;fill:#57606a}.s{fill:#2f81c7}
.m{stroke:#c4432b;stroke-width:2}.g{stroke:#8c959f;stroke-opacity:.3}
@media (prefers-color-scheme:dark){text{fill:#9da7b3}.s{fill:#58a6ff}.m{stroke:#ff7b72}}
</style>"""


def svg(width: int, height: int, title: str, body: list[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
        f"<title>{escape(title)}</title>{STYLE}"
        f'<text x="8" y="18" font-weight="600">{escape(title)}</text>\n' + "\n".join(body) + "\n</svg>\n"
    )


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(words)}</text>'


def ratios(rows) -> str | None:
    """What share of its ceiling each row reaches; a mark stands where the target is."""
    shown = [row for row in rows if "ratio" in row.data and "target" in row.data]
    if not shown:
        return None
    left, width, step = 330, 420, 24
    longest = max(1.0, *(row.data["ratio"] for row in shown))
    body = []
    for number, row in enumerate(shown):
        y = 34 + number * step
        label = f"{row.name}, {row.connections}" if row.connections else row.name
        bar, mark = (width * row.data[key] / longest for key in ("ratio", "target"))
        body.append(text(left - 8, y + 13, label, "end"))
        body.append(f'<rect class="s" x="{left}" y="{y}" width="{bar:.1f}" height="16" rx="2"/>')
        body.append(f'<line class="m" x1="{left + mark:.1f}" x2="{left + mark:.1f}" y1="{y - 2}" y2="{y + 18}"/>')
        body.append(text(left + max(bar, mark) + 6, y + 13, f"{row.data['ratio'] * 100:.0f} %"))
    return svg(left + width + 60, 44 + len(shown) * step, "Share of the ceiling (line: target)", body)


def pairs(rows) -> str | None:
    """Every pair's ratio to its ceiling, so that the spread is seen and not only told."""
    shown = [row for row in rows if row.data.get("ratios") and "target" in row.data]
    if not shown:
        return None
    left, width, step = 330, 420, 24
    longest = max(1.0, *(max(row.data["ratios"]) for row in shown))
    bottom = 34 + len(shown) * step
    body = []
    for tick in range(0, int(longest * 4) + 1):
        x = left + width * tick / 4 / longest
        body.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="28" y2="{bottom}"/>' + text(x, bottom + 14, f"{tick * 25} %", "middle"))
    for number, row in enumerate(shown):
        y = 42 + number * step
        body.append(text(left - 8, y + 4, f"{row.name}, {row.connections}" if row.connections else row.name, "end"))
        body += [f'<circle class="s" fill-opacity=".6" cx="{left + width * ratio / longest:.1f}" cy="{y}" r="4"/>' for ratio in row.data["ratios"]]
    return svg(left + width + 40, bottom + 24, "Ratio of each pair of runs", body)


def growth(rows) -> str | None:
    """Requests per second by number of processes and by amount of data; each kind of request has a scale of its own."""
    shown = [row for row in rows if "growth" in row.data]
    if not shown:
        return None
    left, width, step = 330, 360, 24
    most: dict[str, float] = {}
    for row in shown:
        kind = row.name.rpartition(",")[0]
        most[kind] = max(most.get(kind, 0), row.data["growth"])
    body = []
    for number, row in enumerate(shown):
        y = 34 + number * step
        bar = width * row.data["growth"] / most[row.name.rpartition(",")[0]]
        body.append(text(left - 8, y + 13, row.name, "end"))
        body.append(f'<rect class="s" x="{left}" y="{y}" width="{bar:.1f}" height="16" rx="2"/>')
        body.append(text(left + bar + 6, y + 13, f"{row.data['growth']:,.0f}/s"))
    return svg(left + width + 100, 44 + len(shown) * step, "Growth: requests per second", body)


def every(rows) -> dict[str, str]:
    """The plots that there are numbers for."""
    made = {"ratios.svg": ratios(rows), "pairs.svg": pairs(rows), "growth.svg": growth(rows)}
    return {name: plot for name, plot in made.items() if plot}
