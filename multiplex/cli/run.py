"""What `multiplex run` does: one deliberation after another, watched, written and printed."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multiplex.content.panels import seat
from multiplex.content.protocols import load_protocol
from multiplex.content.scenarios import Scenario, load_scenario
from multiplex.deliberation.run import check_panel
from multiplex.errors import MultiplexError
from multiplex.runs import Run, check_writable

__all__ = ["Options", "run_all"]


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `multiplex run`."""

    model: str
    base_url: str | None
    api_key: str | None
    personas: tuple[str, ...] | None
    protocol: str | None
    seed: int | None
    out: Path
    timeout: float
    retries: int
    concurrency: int


def run_all(references: list[str], options: Options, *, as_json: bool, quiet: bool) -> int:
    """Run every scenario, print what was asked for, and return how many failed.

    Every file is read and every panel seated before the first one runs, so that a mistake in the
    last scenario costs nothing.
    """
    from multiplex.responders.choose import model_named

    model_named(options.model, base_url=options.base_url)
    scenarios = [load_scenario(reference) for reference in references]
    for scenario in scenarios:
        protocol = load_protocol(options.protocol or scenario.protocol)
        check_panel(protocol, seat(options.personas or scenario.personas))
    check_writable(options.out)
    printed: list[dict[str, Any]] = []
    failures = 0
    for scenario in scenarios:
        try:
            run = _run(scenario, options, watched=not (as_json or quiet))
        except MultiplexError as error:
            if len(scenarios) == 1:
                raise
            failures += 1
            print(f"error: {scenario.name}: {error}", file=sys.stderr)
            continue
        printed.append(run.summary())
        _print(run, as_json=as_json, quiet=quiet)
    if as_json:
        whole = printed[0] if len(scenarios) == 1 else {"runs": printed}
        print(json.dumps(whole, ensure_ascii=False, indent=2, allow_nan=False))
    return failures


def _run(scenario: Scenario, options: Options, *, watched: bool) -> Run:
    from multiplex.api import deliberate
    from multiplex.cli.live import Live

    protocol = load_protocol(options.protocol or scenario.protocol)
    panel = seat(options.personas or scenario.personas)
    with Live(scenario, panel, protocol, shown=watched) as live:
        return deliberate(
            scenario,
            personas=options.personas,
            protocol=protocol,
            model=options.model,
            seed=options.seed,
            base_url=options.base_url,
            api_key=options.api_key,
            timeout=options.timeout,
            retries=options.retries,
            concurrency=options.concurrency,
            out=options.out,
            on_event=live.saw,
        )


def _print(run: Run, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        return
    if quiet:
        print(run.path)
        return
    from multiplex.cli.show import print_run

    print_run(run)
