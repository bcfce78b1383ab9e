"""The page on health checks, made from the checks themselves; ``python -m`` this writes it."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

from shipway.health import standard
from shipway.health.check import HealthCheck
from shipway.health.monitor import RETRY_AFTER
from shipway.health.probing import CONFIRM_AFTER, STALE_AFTER, WORSE_AFTER
from shipway.health.pulse import DEAD_AFTER
from shipway.health.registry import GROUP

PAGE = "docs/HEALTH-CHECKS.md"

_TEXT = f"""\
# Health checks

Three questions, three answers, all in `application/health+json` with `Cache-Control: no-store`:

| address | question | 200 | 503 | who may ask |
|--|--|--|--|--|
| `/health` | am I alive? | the event loop turns | it gave no beat for {DEAD_AFTER:g} s | everybody |
| `/health/ready` | may I have traffic? | `pass` or `warn` | a required check fails, was not asked yet or \
not for {STALE_AFTER:g} s, or the process drains; with `Retry-After: {RETRY_AFTER}` | everybody: \
only names and statuses |
| `/health/detailed` | what is wrong? | as above | as above | with the token: latency, since when, words, \
remedies, and the state of queue, pools, breakers, workers and requests |

`/health` never looks at anything that the process depends on: a database that is away must not have
every process started again. Restart on `/health`, route on `/health/ready`, look at `/health/detailed`.

No answer waits for anything. Checks run in the background, each with its own time-out, and the
endpoints read what was seen last. A check becomes worse after {WORSE_AFTER} bad results in a row (the
second is asked {CONFIRM_AFTER * 1000:.0f} ms after the first) and better after one good one. A check that
hangs is asked no second time until it has come back. What has not been asked for {STALE_AFTER:g} s counts as
a failure: nobody knows.

For PostgreSQL that comes to at most a second until 503, and two until 200 again, whether the server stands
still, refuses or is slow: `make bench` (`bench/readiness.py`) measures both, and that `/health` takes under
5 ms meanwhile. It is asked on a connection of its own, so that a full pool is no outage.

A failing check that is not required makes the whole `warn`. `SHIPWAY_HEALTH_REQUIRED` names checks
that readiness needs on an installation although it does not by default, such as `redis:ping`.

```sh
shipway health            # the same checks, asked from here
shipway health --watch    # again and again, until Ctrl-C
```

A worker has the same three addresses, and `/metrics`, on a loopback port of its own: it says which when it
starts, and `SHIPWAY_WORKER_HEALTH_PORT` chooses it. It is not ready from the moment it begins to drain.

## The checks
"""

_PLUGINS = f"""
## Checks of your own

A package brings checks by an entry point of the group `{GROUP}` that names a `HealthCheck`, or a
function that returns some. One that cannot be loaded is a check that warns.

```toml
[project.entry-points."{GROUP}"]
license = "acme.shipway:license_check"
```

## Kubernetes, systemd, a proxy in front

```yaml
livenessProbe: {{httpGet: {{path: /health, port: 8080}}, periodSeconds: 10, timeoutSeconds: 1}}
readinessProbe: {{httpGet: {{path: /health/ready, port: 8080}}, periodSeconds: 1, timeoutSeconds: 1}}
```

This page is generated from the checks (`python -m shipway.health.reference`) and checked in `make test`.
"""


def page() -> str:
    return _TEXT + "".join(_entry(check) for check in standard.everything()) + _PLUGINS


def _entry(check: HealthCheck) -> str:
    needed = "required for ready" if check.required_for_ready else "warns only"
    reason = wrap(f"{needed}: {check.reason}.", 98, subsequent_indent="  ")
    remedy = wrap(f"when it fails: {check.remedy}.", 98, subsequent_indent="  ")
    return "\n".join(
        [
            f"\n### {check.name}\n",
            "- " + "\n".join(reason),
            "- " + "\n".join(remedy),
            f"- asked every {check.every:g} s, given up after {check.timeout:g} s",
            "",
        ]
    )


if __name__ == "__main__":
    Path(PAGE).write_text(page(), encoding="utf-8")
