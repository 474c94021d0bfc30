"""Every shipped scenario with the extractive default: time, memory, and the entropy of what is said.

Each scenario is run in a process of its own, as a user would (`multiplex run NAME --json`), first with
an empty cache and then `--repeats` times with a warm one; times are medians. Prints a table, and writes
bench/results/scenarios.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from multiplex.content.scenarios import scenario_names

_RESULTS = Path(__file__).parent / "results" / "scenarios.json"


def measure(name: str, folder: Path, cache: Path) -> tuple[dict[str, Any], float, float]:
    """Run one scenario; return what it printed, the seconds it took and its peak memory in MB."""
    command = [sys.executable, "-m", "multiplex", "run", name, "--json", "--out", str(folder)]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env={**os.environ, "MULTIPLEX_CACHE": str(cache)}
    )
    output, _ = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{name}: exit code {process.returncode}")
    run = json.loads(output)
    return run, seconds, _peak(run)


def _peak(run: dict[str, Any]) -> float:
    return float(run["usage"]["peak_mb"])


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", help="shipped scenarios; all by default")
    parser.add_argument("--repeats", type=int, default=3, help="warm runs a scenario; 0 for entropies alone")
    parser.add_argument("--cache", type=Path, help="an embedding cache to use instead of an empty one")
    options = parser.parse_args()
    rows = []
    print(
        f"{'scenario':<22}{'cold s':>8}{'warm s':>8}{'peak MB':>9}{'overton':>9}{'corrected':>11}{'steered':>9}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder, cache = Path(scratch) / "runs", options.cache or Path(scratch) / "cache"
        for name in options.scenarios or scenario_names():
            run, cold, peak = measure(name, folder, cache)
            warm = statistics.median(
                [measure(name, folder, cache)[1] for _ in range(options.repeats)] or [cold]
            )
            entropies = run["scores"]["perspective_entropy"]
            steered = [
                score["value"] for score in entropies["steered"].values() if score["value"] is not None
            ]
            row = {
                "scenario": name,
                "cold_s": cold,
                "warm_s": warm,
                "peak_mb": peak,
                "overton": entropies["overton"]["value"],
                "overton_corrected": entropies["overton"]["corrected"]["value"],
                "steered_mean": statistics.fmean(steered),
                "steered_highest": max(steered),
            }
            rows.append(row)
            print(
                f"{name:<22}{cold:>8.1f}{warm:>8.1f}{peak:>9.0f}{row['overton']:>9.3f}"
                f"{row['overton_corrected']:>11.3f}{row['steered_mean']:>9.3f}",
                flush=True,
            )
    mean = {key: statistics.fmean(row[key] for row in rows) for key in rows[0] if key != "scenario"}
    print(
        f"{'mean':<22}{mean['cold_s']:>8.1f}{mean['warm_s']:>8.1f}{mean['peak_mb']:>9.0f}{mean['overton']:>9.3f}"
        f"{mean['overton_corrected']:>11.3f}{mean['steered_mean']:>9.3f}"
    )
    _RESULTS.parent.mkdir(exist_ok=True)
    _RESULTS.write_text(json.dumps({"rows": rows, "mean": mean}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
