"""What is kept and for how long: every table has a rule, carried out in small batches.

Nothing that is live is touched: a run goes when it has ended long enough ago, with all that is its
own and in one transaction. The newest runs stay, and those of the newest event and dead letter, so
that no number and no position is ever given twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from shipway.store.database import Connection

#: A batch is one transaction: others wait for it, so it is short.
BATCH = 20

#: Every table and what becomes of its rows; ``forget_runs`` and the functions beside it do it.
RULES: dict[str, str] = {
    "runs": "as long as the policy keeps ended runs; the newest always",
    "events": "with their run",
    "orders": "with their run",
    "progress": "with its run",
    "dead_letters": "with their run",
    "spending": "with its run",
    "commands": "with their run, or once they were answered long enough ago",
    "compatibility": "one row",
    "workers": "some time after they ended: whoever takes over forgets them",
    "claims": "with their run, or once what was reported of them is taken in",
    "lanes": "with their claim, or once the attempt is over",
    "paces": "one row for each capability with a rate",
    "reports": "until an engine has taken them in, or with their run",
    "fleet_homes": "one row",
    "answers": "for a day, by whoever keeps the next one",
    "flags": "one row for each flag",
    "flag_changes": "as long as runs are kept; the last change of a flag always",
    "pipelines": "as long as a run is pinned to them",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """``ended_before`` is None when ended runs are kept for ever; ``newest`` of them stay anyway."""

    ended_before: float | None
    newest: int
    answered_before: float


def old_runs(connection: Connection, policy: Policy, limit: int = BATCH) -> list[str]:
    """Runs that may go now, those that ended first before the others."""
    if policy.ended_before is None:
        return []
    rows = connection.execute(
        "SELECT id FROM runs WHERE ended_at < ?"
        " AND number <= (SELECT max(number) FROM runs) - ?"
        " AND id NOT IN (SELECT run FROM events ORDER BY position DESC LIMIT 1)"
        " AND id NOT IN (SELECT run FROM dead_letters ORDER BY number DESC LIMIT 1)"
        " ORDER BY ended_at, number LIMIT ?",
        (policy.ended_before, max(1, policy.newest), limit),
    )
    return [row[0] for row in rows]


def count_old_runs(connection: Connection, policy: Policy) -> int:
    return len(old_runs(connection, policy, limit=1_000_000))


def forget_runs(connection: Connection, policy: Policy) -> list[str]:
    """Delete a batch of old runs with all that is their own; returns which. In a transaction."""
    chosen = old_runs(connection, policy)
    if not chosen:
        return []
    connection.lock_runs(chosen)
    # Somebody may have begun to work on one again before we held it.
    still = set(old_runs(connection, policy, limit=4 * BATCH))
    gone = [run for run in chosen if run in still]
    rows = [(run,) for run in gone]
    for table in (
        "claims",
        "reports",
        "progress",
        "spending",
        "dead_letters",
        "orders",
        "events",
        "commands",
    ):
        connection.executemany(f"DELETE FROM {table} WHERE run = ?", rows)  # noqa: S608 - our names
    connection.executemany("DELETE FROM runs WHERE id = ?", rows)
    return gone


def count_answered(connection: Connection, policy: Policy) -> int:
    row = connection.execute(
        "SELECT count(*) FROM commands WHERE done_at < ?", (policy.answered_before,)
    ).fetchone()
    count: int = row[0]
    return count


def forget_answered(connection: Connection, policy: Policy, limit: int = 10 * BATCH) -> int:
    """Delete a batch of commands that were answered long ago; returns how many."""
    rows = connection.execute(
        "SELECT id FROM commands WHERE done_at < ? ORDER BY done_at LIMIT ?",
        (policy.answered_before, limit),
    ).fetchall()
    connection.executemany("DELETE FROM commands WHERE id = ?", [(row[0],) for row in rows])
    return len(rows)


def forget_pipelines(connection: Connection) -> int:
    """Delete the definitions that no run is pinned to any more; returns how many."""
    return connection.execute(
        "DELETE FROM pipelines WHERE NOT EXISTS"
        " (SELECT 1 FROM runs WHERE runs.pipeline = pipelines.digest)"
    ).rowcount


def forget_flag_changes(connection: Connection, policy: Policy) -> int:
    """Delete changes of flags that are as old as the runs they were made for; returns how many."""
    if policy.ended_before is None:
        return 0
    return connection.execute(
        "DELETE FROM flag_changes WHERE at < ? AND version <"
        " (SELECT max(later.version) FROM flag_changes later WHERE later.key = flag_changes.key)",
        (policy.ended_before,),
    ).rowcount


def ended_before(connection: Connection, runs: list[str], before: float) -> set[str]:
    """Which of the runs ended before a time."""
    if not runs:
        return set()
    places = ", ".join("?" * len(runs))
    rows = connection.execute(
        f"SELECT id FROM runs WHERE id IN ({places}) AND ended_at < ?",  # noqa: S608 - placeholders
        (*runs, before),
    )
    return {row[0] for row in rows}


def known(connection: Connection, runs: list[str]) -> set[str]:
    """Which of the runs there are."""
    if not runs:
        return set()
    places = ", ".join("?" * len(runs))
    rows = connection.execute(f"SELECT id FROM runs WHERE id IN ({places})", runs)  # noqa: S608
    return {row[0] for row in rows}


def oldest_kept(connection: Connection) -> float | None:
    """When the oldest run that is kept was made; None when there is no run."""
    row = connection.execute("SELECT created_at FROM runs ORDER BY number LIMIT 1").fetchone()
    return None if row is None else float(row[0])
