"""`make fuzz`: atheris over target.py, beginning with the hostile corpus; Hypothesis where there is no atheris."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from tests.fuzz import corpus

PACKAGES = ["router"]


def with_atheris(seconds: int, folder: Path) -> None:
    """Guided by coverage of the router; libFuzzer ends the process, with 77 after a finding."""
    import atheris

    with atheris.instrument_imports(include=PACKAGES):
        from tests.fuzz.target import one_input
    print(f"{corpus.write(folder / 'corpus')} seeds in {folder / 'corpus'}", flush=True)
    corpus.write_words(folder / "words")
    options = [
        f"-dict={folder}/words",
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-max_len=2048",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/finding-", str(folder / "corpus")], one_input)
    atheris.Fuzz()


def with_hypothesis(seconds: int, folder: Path) -> None:
    """Not guided: random changes to the seeds, and streams that Hypothesis draws."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    from tests.fuzz.target import one_input

    seeds = list(corpus.seeds())

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(seeds), st.lists(st.tuples(st.integers(0, 4096), st.integers(0, 4), st.binary(max_size=8)), max_size=6)
    )
    def one(seed: bytes, changes: list[tuple[int, int, bytes]]) -> None:
        for at, length, new in changes:
            place = at % (len(seed) + 1)
            seed = seed[:place] + new + seed[place + length :]
        (folder / "last").write_bytes(seed)
        one_input(seed)

    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random()
    fuzz = one.hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        fuzz(draw.randbytes(512))
        count += 1
    print(f"{count} inputs in {seconds} s without a finding (Hypothesis; atheris is not installed)")


def main() -> None:
    """Run the one that is there."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=int, help="how long")
    parser.add_argument("folder", type=Path, help="where findings and the grown corpus are kept")
    asked = parser.parse_args()
    seconds, folder = asked.seconds, asked.folder
    try:
        import atheris  # noqa: F401
    except ImportError:
        with_hypothesis(seconds, folder)
    else:
        with_atheris(seconds, folder)


if __name__ == "__main__":
    main()
