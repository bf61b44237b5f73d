"""The table: on the terminal, in files, and in docs/performance.md."""

import dataclasses
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from settings import ROOT


@dataclass
class Row:
    """One line of the table. `reached` is None where there is no target, or none is judged."""

    name: str
    connections: int | None = None
    value: str = ""
    spread: str = ""
    ceiling: str = ""
    ratio: str = ""
    target: str = ""
    reached: bool | None = None
    # Numbers for the plots and for later comparison.
    data: dict = field(default_factory=dict)


def count(number: float) -> str:
    return f"{number:,.0f}"


def share(number: float) -> str:
    return f"{number * 100:.0f} %"


def spread(values: list[float], form=count) -> str:
    """Least to most, and how many there were."""
    return f"{form(min(values))}–{form(max(values))} (n = {len(values)})"


def median(values) -> float:
    return statistics.median(values)


COLUMNS = ("what", "connections", "value", "spread", "ceiling", "ratio", "target", "reached")


def cells(row: Row) -> tuple[str, ...]:
    reached = {None: "", True: "yes", False: "**no**"}[row.reached]
    connections = "" if row.connections is None else count(row.connections)
    return (row.name, connections, row.value, row.spread, row.ceiling, row.ratio, row.target, reached)


def markdown(machine: dict[str, str], rows: list[Row], failures: list[str], notes: list[str]) -> str:
    lines = ["- " + "; ".join(f"{name}: {value}" for name, value in machine.items()), ""]
    lines.append("| " + " | ".join(COLUMNS) + " |")
    lines.append("|---|" + "--:|" * (len(COLUMNS) - 3) + "---|---|")
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    if failures:
        lines += ["", "Failed:", "", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def save(folder: Path, machine: dict[str, str], rows: list[Row], failures: list[str], table: str, plots: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine, "rows": [dataclasses.asdict(row) for row in rows], "failures": failures}
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (folder / "table.md").write_text(table)
    for name, plot in plots.items():
        (folder / name).write_text(plot)


BEGIN, END = "<!-- written by SAVE=1 make bench -->\n", "<!-- end -->"


def save_docs(table: str, plots: dict[str, str]) -> None:
    """Puts table and plots where docs/performance.md has its place for them."""
    page = ROOT / "docs" / "performance.md"
    head, _, rest = page.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    images = ROOT / "docs" / "performance"
    images.mkdir(exist_ok=True)
    pictures = ""
    for name, plot in plots.items():
        (images / name).write_text(plot)
        pictures += f"\n![{name.removesuffix('.svg')}](performance/{name})\n"
    page.write_text(f"{head}{BEGIN}\n{table}{pictures}\n{END}{tail}")
