"""What the tests measure. As a program it prints the table of the last run."""

import json
import sys

from cluster import ROOT

FILE = ROOT / "target/figures.jsonl"


def record(what, value, unit="", most=None):
    """Remembers a figure for the table, and `most`, the highest that it may be, which the test holds it to."""
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a") as file:
        file.write(json.dumps({"what": what, "value": value, "unit": unit, "most": most}, ensure_ascii=False) + "\n")
    print(f"figure: {what}: {shown(value)} {unit}", file=sys.stderr)


def shown(value):
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else f"{value:,}"


def table(rows):
    """A row for each figure; where one was measured again, the last time counts."""
    last = {row["what"]: row for row in rows}
    lines = ["| what | measured | at most |", "|---|--:|--:|"]
    for row in last.values():
        most = "" if row["most"] is None else f"{shown(row['most'])} {row['unit']}"
        lines.append(f"| {row['what']} | {shown(row['value'])} {row['unit']} | {most} |".replace("  ", " "))
    return "\n".join(lines)


if __name__ == "__main__":
    if not FILE.exists():
        sys.exit("nothing was measured yet: make figures")
    print(table(map(json.loads, FILE.read_text().splitlines())))
