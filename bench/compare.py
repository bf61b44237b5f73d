"""Do two runs agree? Compares their saved results, row by row.

usage: python3 bench/compare.py OLDER/results.json NEWER/results.json

Rows that were measured in pairs agree where either run's median lies within the other's spread of ratios; of the others the change is shown.
Ends with 1 if a row does not agree, or is in one of them only.
"""

import json
import sys
from pathlib import Path

from report import median, share, spread

# What stands for a row that was not measured in pairs, in the order of preference.
NUMBERS = ("rate", "growth", "p50", "p99", "peak_mib", "cpu_us")


def rows_of(path: str) -> dict[tuple, dict]:
    return {(row["name"], row["connections"]): row["data"] for row in json.loads(Path(path).read_text())["rows"]}


def within(ratio: float, ratios: list[float]) -> bool:
    return min(ratios) <= ratio <= max(ratios)


def compare(older: dict, newer: dict) -> tuple[list[str], bool]:
    lines = ["| what | connections | first | second | agree |", "|---|--:|--:|--:|---|"]
    all_agree = True
    for key in older | newer:
        name, connections = key
        start = f"| {name} | {'' if connections is None else f'{connections:,}'} | "
        if key not in older or key not in newer:
            lines.append(f"{start}{'' if key in newer else 'there'} | {'' if key in older else 'there'} | **no** |")
            all_agree = False
            continue
        one, two = older[key], newer[key]
        if one.get("ratios") and two.get("ratios"):
            medians = median(one["ratios"]), median(two["ratios"])
            agree = within(medians[0], two["ratios"]) or within(medians[1], one["ratios"])
            all_agree &= agree
            first, second = (f"{share(value)} ({spread(data['ratios'], share)})" for value, data in zip(medians, (one, two)))
            lines.append(f"{start}{first} | {second} | {'yes' if agree else '**no**'} |")
            continue
        number = next((number for number in NUMBERS if number in one and number in two), None)
        if number is not None and one[number]:
            change = (two[number] - one[number]) / one[number] * 100
            lines.append(f"{start}{number} {one[number]:,.1f} | {two[number]:,.1f} | {change:+.0f} % |")
    return lines, all_agree


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    lines, all_agree = compare(rows_of(sys.argv[1]), rows_of(sys.argv[2]))
    print("\n".join(lines))
    return 0 if all_agree else 1


if __name__ == "__main__":
    sys.exit(main())
