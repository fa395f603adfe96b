"""The report: tables for people, JSON for programs, and whether the result can be trusted."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from loadtest.compare import proc
from loadtest.compare.idle import Idle
from loadtest.compare.measure import Sample
from loadtest.compare.peers import versions
from loadtest.compare.promises import COLUMNS as PROMISE_COLUMNS
from loadtest.compare.promises import promise_rows
from loadtest.compare.ratios import idle_rows, load_rows
from loadtest.compare.scenarios import IDLE, IDLE_CONNECTIONS, SCENARIOS
from loadtest.compare.table import Columns, Row, table

COLUMNS: Columns = {
    "requests_s": ("req/s", ".0f"),
    "better_s": ("router/it", ".2f"),
    "requests_cpu_s": ("req/cpu-s", ".0f"),
    "better_cpu": ("router/it", ".2f"),
    "of_relay": ("of relay", ".2f"),
    "p50_ms": ("p50 ms", ".3f"),
    "p99_ms": ("p99 ms", ".2f"),
    "rss_mib": ("RSS MiB", ".1f"),
    "cpu": ("cpu", ".0%"),
    "stolen": ("stolen", ".0%"),
    "clean": ("clean", ""),
    "errors": ("errors", ".0f"),
}
IDLE_COLUMNS: Columns = {
    "rest_mib": ("RSS MiB at rest", ".1f"),
    "full_mib": (f"with {IDLE_CONNECTIONS}", ".1f"),
    "better_mib": ("router/it", ".2f"),
    "connection_kib": ("KiB/connection", ".1f"),
    "errors": ("closed", ".0f"),
}
PROMISED = "promised: req/cpu-s as a ratio to the better of nginx and haproxy (one: p50 as a ratio to nginx); !: missed"
LEGEND = """\
req/cpu-s  requests per CPU second of the target: the number to compare
router/it  the router's figure / this target's (req: above 1 the router is ahead; memory: below 1); of req/s only if both clean.
           Each ratio is one of two samples of the same round, and the median over the rounds: not a ratio of the medians shown
of relay   this target's req/cpu-s / the relay's, the kernel floor
cpu        below 90% with 64 connections: the load side was the limit, so req/s understates the target
clean      samples with at most 15% of a CPU taken by others / all; medians are of the clean ones; *: there are none"""


@dataclass(frozen=True, slots=True)
class Result:
    """All that a run found."""

    command: list[str]
    peers: list[str]
    rounds: int
    seconds: int  # length of a sample
    samples: list[Sample]
    idles: list[Idle]
    less: dict[str, list[str]]  # target -> what it does less than the others
    builds: dict[str, str] = dataclasses.field(default_factory=dict)  # router -> interpreter and build

    def rows(self) -> dict[str, list[Row]]:
        """The rows of each scenario that was measured."""
        rows = {name: load_rows(samples, list(self.less)) for name, samples in self.scenarios().items()}
        return rows | ({IDLE: idle_rows(self.idles)} if self.idles else {})

    def scenarios(self) -> dict[str, list[Sample]]:
        """The samples of each scenario that was measured."""
        names = dict.fromkeys(sample.scenario for sample in self.samples)
        return {name: [sample for sample in self.samples if sample.scenario == name] for name in names}

    def errors(self) -> dict[str, float | str]:
        """Errors under load: "target in scenario" -> how many."""
        return {
            f"{row['target']} in {name}": row["errors"] for name, rows in self.rows().items() for row in rows if row["errors"]
        }


def text(result: Result) -> str:
    """The report for people."""
    facts = _words(machine() | versions(result.peers))
    checked = ", ".join(result.less)
    parts = [f"{facts}\n{result.rounds} rounds of {result.seconds} s; answers checked: {checked}"]
    parts += ["\n".join(f"{name}: {build}" for name, build in result.builds.items())] if result.builds else []
    parts += [f"less work: {name}: {', '.join(notes)}" for name, notes in result.less.items() if notes and name != "relay"]
    parts += [_section(name, rows) for name, rows in result.rows().items()]
    if promises := promise_rows(result.scenarios()):
        parts.append(table(PROMISED, promises, PROMISE_COLUMNS))
    if result.samples:
        parts += [LEGEND, _quietness(result.samples)]
    errors = result.errors()
    parts.append(f"ERRORS: {_words({name: str(count) for name, count in errors.items()})}" if errors else "no errors")
    return "\n\n".join(parts)


def write_json(result: Result, path: Path) -> None:
    """All rows and samples."""
    about = {"machine": machine(), "versions": versions(result.peers)}
    raw = {"rows": result.rows(), "errors": result.errors(), "less_work": result.less}
    run = {"command": result.command, "builds": result.builds, "rounds": result.rounds, "seconds": result.seconds}
    samples = {"samples": [dataclasses.asdict(sample) for sample in result.samples]}
    path.write_text(json.dumps({**about, **run, **raw, **samples}, indent=1) + "\n")


def machine() -> dict[str, str]:
    """What the numbers were taken on."""
    return {"cpu": proc.cpu_model() or platform.machine(), "cpus": str(os.cpu_count()), "kernel": platform.release()}


def _section(name: str, rows: list[Row]) -> str:
    if name == IDLE:
        return table(f"{name}: {IDLE_CONNECTIONS} open connections that wait, fresh process", rows, IDLE_COLUMNS)
    return table(f"{name}: {SCENARIOS[name].title}", rows, COLUMNS)


def _quietness(samples: list[Sample]) -> str:
    spoiled = sum(sample.disturbed for sample in samples)
    verdict = ": NOT A QUIET MACHINE" if spoiled * 4 > len(samples) else ""
    return f"{spoiled} of {len(samples)} samples disturbed{verdict}"


def _words(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {fact}" for name, fact in facts.items())
