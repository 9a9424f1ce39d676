"""Time whole commands, warm import cache, median of five: the main job, and --help against importing typer and rich."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = str(Path(sys.executable).parent / "lncohort")


def seconds(*command: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


with tempfile.TemporaryDirectory() as place:
    main_job = [seconds(COMMAND, "reproduce", "--out", f"{place}/{turn}") for turn in range(5)]
pairs = [(seconds(COMMAND, "--help"), seconds(sys.executable, "-c", "import typer, rich.console")) for _ in range(11)]
print(f"lncohort reproduce   {statistics.median(main_job):6.2f} s")
print(f"lncohort --help      {statistics.median(first for first, _ in pairs):6.2f} s")
print(f"  over importing typer and rich: {statistics.median(first / second for first, second in pairs):.2f}")
