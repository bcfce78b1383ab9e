"""Times a guarded call against the bare one: closed breaker, bulkhead and retry, without and with times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from shipway.resilience.guard import Guard, GuardPolicy

CALLS, ROUNDS = 50_000, 7


async def bare() -> int:
    return 1


async def microseconds(call: Callable[[], Awaitable[int]]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(CALLS):
            await call()
        best = min(best, (time.process_time() - began) / CALLS)
    return best * 1e6


async def main() -> None:
    plain = Guard("bench", GuardPolicy(per_try=None, total=None))
    timed = Guard("bench")
    base = await microseconds(bare)
    print(f"bare call                              {base:6.2f} us")
    for name, guard, most in (("breaker and retry", plain, 1.0), ("with deadlines", timed, None)):
        over = await microseconds(lambda guard=guard: guard.call(bare, repeatable=True)) - base
        kept = "ok" if most is None or over <= most else "MISSED"
        promise = "" if most is None else f"  (promised: at most {most:g}) {kept}"
        print(f"guarded: {name:<22} over it by {over:6.2f} us{promise}")


if __name__ == "__main__":
    asyncio.run(main())
