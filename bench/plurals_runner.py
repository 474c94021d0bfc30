"""Plurals on the endpoint: started by bench/orchestration.py in another Python, where Plurals is installed.

The first line of its input says what to ask; it answers with Plurals' version. Every further line is a
shape; it answers with the seconds and the processor time that the shape took.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # no price list is fetched at import
os.environ.setdefault("LITELLM_LOG", "ERROR")
warnings.simplefilter("ignore")

Shape = Callable[[], list[str]]


def shapes(plan: dict[str, Any]) -> dict[str, Shape]:
    """Return the three shapes: the loop is the one that Plurals documents, the pool is a user's own."""
    from plurals.agent import Agent  # type: ignore[import-not-found]
    from plurals.deliberation import Ensemble, Moderator  # type: ignore[import-not-found]

    model = {"model": f"openai/{plan['model']}", "kwargs": {"api_base": plan["base_url"], **plan["sampling"]}}

    def ask(question: dict[str, Any]) -> str:
        # Agents and moderators are changed by a run: every question needs new ones.
        agents = [Agent(system_instructions=persona, **model) for persona in question["personas"]]
        moderator = Moderator(
            system_instructions=plan["rules"], combination_instructions=question["combine"], **model
        )
        return str(Ensemble(agents, task=question["task"], moderator=moderator).process())

    def at_once() -> list[str]:
        with ThreadPoolExecutor(len(plan["questions"])) as pool:
            return list(pool.map(ask, plan["questions"]))

    return {
        "one": lambda: [ask(plan["questions"][0])],
        "in_turn": lambda: [ask(question) for question in plan["questions"]],
        "at_once": at_once,
    }


def main() -> None:
    """Answer line by line."""
    available = shapes(json.loads(sys.stdin.readline()))
    print(json.dumps({"version": version("plurals"), "litellm": version("litellm")}), flush=True)
    for line in sys.stdin:
        started, used = time.perf_counter(), time.process_time()
        answers = available[line.strip()]()
        took = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - used}
        if not all(answers):
            raise SystemExit("Plurals answered with no text")
        print(json.dumps(took), flush=True)


if __name__ == "__main__":
    main()
