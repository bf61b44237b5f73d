"""What was measured on what."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

from settings import ROOT, Settings
from stack import Stack


def output(*command) -> str:
    """The first line that a program says about itself."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=20, check=False)
    return next(iter((done.stdout + done.stderr).strip().splitlines()), "?")


def revision() -> str:
    changed = subprocess.run(
        ["git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=False
    )
    return output("git", "-C", ROOT, "rev-parse", "--short=12", "HEAD") + (", with changes" if changed.stdout else "")


def describe(settings: Settings, stack: Stack) -> dict[str, str]:
    """Name and value, in the order of the table's head."""
    cpu = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    api = revision()
    if settings.api.parent.name != "release":
        api += f" (a {settings.api.parent.name} build: its numbers say nothing)"
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": f"{os.cpu_count()} × {cpu[1] if cpu else platform.machine()}",
        "memory": f"{int(memory[1]) / 1024 / 1024:.1f} GiB" if memory else "?",
        "kernel": platform.release(),
        "file system of the database": output("stat", "-f", "-c", "%T", stack.services.env["PGDATA"]),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "api": api,
        "rustc": output("rustc", "--version"),
        "nginx": output("nginx", "-v").removeprefix("nginx version: "),
        "PostgreSQL": stack.services.sql("SHOW server_version") + f", fsync {stack.services.sql('SHOW fsync')}",
        "Redis": output("redis-server", "--version"),
        "wrk": output("wrk", "--version").split(" Copyright")[0],
    }
