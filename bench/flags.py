"""Times the evaluation of feature flags: who was seen before, and who is seen for the first time."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import date

from shipway.flags.evaluate import Context
from shipway.flags.flag import Serve, boolean
from shipway.flags.flags import Flags

ASKED_US = 5.0
_TIMES, _ROUNDS = 20_000, 5


def flags() -> Flags:
    plain = boolean("plain", "the same for everybody", "bench", date(2099, 1, 1))
    served = Serve(variant="on", percent=25.0)
    part = plain.model_copy(update={"key": "part", "salt": "part", "serve": served})
    return Flags(known={"plain": plain, "part": part})


def best(evaluate: Callable[[str, Context], object], key: str, contexts: list[Context]) -> float:
    """Microseconds for one evaluation, in the best of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        for context in contexts:
            evaluate(key, context)
        rounds.append((time.perf_counter() - began) / len(contexts) * 1e6)
    return min(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    seen = [Context(user=f"user-{number % 100}") for number in range(_TIMES)]
    first = [Context(user=f"user-{number}") for number in range(_TIMES)]
    rows = {
        "the same for everybody": best(flags().evaluate, "plain", seen),
        "a rollout, seen before": best(flags().evaluate, "part", seen),
        # More users than are remembered: each of them is hashed again.
        "a rollout, seen first": best(flags().evaluate, "part", first),
    }
    if options.json:
        print(json.dumps({"asked_us": ASKED_US, "us": rows}, indent=2))
        return
    for what, took in rows.items():
        print(f"{what:24}  {took:6.2f} us  asked: {ASKED_US:g}")


if __name__ == "__main__":
    main()
