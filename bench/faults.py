"""`python -m bench faults`: the fault bench of the tests over any number of seeds, on every core."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence

import orjson
import structlog
from rich.console import Console

from tests.faults.replaying import Played, play


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench faults", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, action="append", help="this seed alone; repeatable")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    given = parser.parse_args(arguments)
    seeds = given.seed or range(given.first, given.first + given.seeds)
    console = Console(stderr=True)
    struck: Counter[str] = Counter()
    lives, failed = 0, []
    start = time.perf_counter()
    with multiprocessing.Pool(given.jobs, initializer=_quiet) as pool:
        for played in pool.imap_unordered(_play, seeds):
            struck.update({str(kind): count for kind, count in played.struck.items()})
            lives += played.lives
            if played.findings:
                failed.append(played.seed)
                console.print(str(played), highlight=False)
    took = time.perf_counter() - start
    console.print(f"{len(seeds)} seeds in {took:.0f} s; {len(failed)} failed; the service was started {lives} times")
    result = {"seeds": len(seeds), "failed": sorted(failed), "seconds": took, "struck": dict(struck.most_common())}
    sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return 1 if failed else 0


def _play(seed: int) -> Played:
    try:
        return play(seed)
    except AssertionError as error:
        return Played(seed, (str(error),), {}, 0)


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
