"""Fails if an operation of an OpenAPI document never answered 2xx in any of the reports.

usage: reached.py DOCUMENT_URL REPORT.ndjson...
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from urllib.request import urlopen

METHODS = {"get", "post", "put", "patch", "delete"}


def operations(url: str) -> set[str]:
    with urlopen(url) as response:
        document = json.load(response)
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item if method in METHODS}


def statuses(report: Path) -> dict[str, set[int]]:
    """What each operation answered to its own method."""
    seen = defaultdict(set)
    with report.open() as lines:
        for line in lines:
            scenario = json.loads(line).get("ScenarioFinished")
            if not scenario:
                continue
            recorder = scenario["recorder"]
            for case_id, case in recorder.get("cases", {}).items():
                value, interaction = case["value"], recorder.get("interactions", {}).get(case_id)
                if interaction and interaction["response"] and interaction["request"]["method"] == value["method"]:
                    seen[f"{value['method']} {value['path']}"].add(interaction["response"]["status_code"])
    return seen


def main(url: str, *reports: str) -> int:
    wanted = operations(url)
    by_role = {Path(report).stem: statuses(Path(report)) for report in reports}
    for role, seen in sorted(by_role.items()):
        reached = sum(any(200 <= status < 300 for status in seen[operation]) for operation in wanted)
        answers = sorted({status for operation in seen.values() for status in operation})
        print(f"{role}: {reached} of {len(wanted)} operations answered 2xx; statuses {answers}")
    missed = {
        operation
        for operation in wanted
        if not any(200 <= status < 300 for seen in by_role.values() for status in seen[operation])
    }
    for operation in sorted(missed):
        print(f"never 2xx: {operation}: {sorted(set().union(*(seen[operation] for seen in by_role.values())))}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
