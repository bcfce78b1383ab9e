"""The table of all commands: what the first help page shows, and where each is to be found."""

from __future__ import annotations

import click

from shipway import __version__
from shipway.cli.command import Group, Lazy, speaks
from shipway.cli.output import Output

CHECKS, RUNS, ASKS, REST = (
    "Changes",
    "Runs",
    "What waits for you",
    "Pipelines, releases and this installation",
)

TABLE = {
    "check": Lazy("shipway.cli.check:check", CHECKS, "Judge a change before it is merged."),
    "calibrate": Lazy(
        "shipway.cli.calibrate:calibrate", CHECKS, "Measure how often the gates are wrong."
    ),
    "run": Lazy(
        "shipway.cli.run:run", RUNS, "Start a run; list, view, watch, pause, retry, rewind runs."
    ),
    "inbox": Lazy("shipway.cli.asks:inbox", ASKS, "Show the decisions and questions that wait."),
    "decide": Lazy("shipway.cli.asks:decide", ASKS, "Make a decision that a run waits for."),
    "answer": Lazy("shipway.cli.asks:answer", ASKS, "Answer a question that a run waits for."),
    "dead": Lazy(
        "shipway.cli.dead:dead", ASKS, "List, view, replay, discard orders that nobody could do."
    ),
    "pipeline": Lazy(
        "shipway.cli.pipeline:pipeline", REST, "List, show, validate and draw pipelines."
    ),
    "contract": Lazy(
        "shipway.cli.contract:contract", REST, "List, show and compare contracts of capabilities."
    ),
    "release": Lazy(
        "shipway.cli.release:release", REST, "List, view, stop and roll back what is deployed."
    ),
    "worker": Lazy("shipway.cli.worker:worker", REST, "Do work of a fleet; list who is there."),
    "agent": Lazy("shipway.cli.agent:agent", REST, "List a fleet's agents; drain and resume."),
    "dev": Lazy("shipway.cli.dev:dev", REST, "Engine and worker in one process."),
    "doctor": Lazy("shipway.cli.doctor:doctor", REST, "Check that this machine is ready."),
    "db": Lazy(
        "shipway.cli.db:db", REST, "Migrate, check, back up, restore and tidy the database."
    ),
    "health": Lazy(
        "shipway.cli.health:health", REST, "Ask every health check, once or all the time."
    ),
    "config": Lazy(
        "shipway.cli.config:config", REST, "Show the settings and where they come from."
    ),
    "flag": Lazy("shipway.cli.flag:flag", REST, "List, set and roll out feature flags."),
    "completion": Lazy(
        "shipway.cli.completion:completion", REST, "Print the completion script of a shell."
    ),
    "serve": Lazy("shipway.cli.serve:serve", REST, "Serve the HTTP API on this machine."),
    "engine": Lazy(
        "shipway.cli.engine:engine", "", "Carry the active runs on (started by others)."
    ),
}

EXAMPLES = (
    "shipway check",
    "shipway run --spec api.yaml --into ./service",
    "shipway run --repo . --requirement @ticket.md --patch fix.patch",
    "shipway run list",
    "shipway inbox",
    "shipway doctor",
)


@click.group(
    cls=Group,
    lazy=TABLE,
    examples=EXAMPLES,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--version", "-V", "version", is_flag=True, help="Print the version.")
@speaks
def root(output: Output, version: bool) -> int | None:
    """Carry a requirement to a verified, integrated, deployed change.

    Agents do the work, gates decide whether it is good, and people decide what only people may
    decide. Everything is kept: a run that was interrupted goes on with "shipway run resume".

    Exit codes: 0 done, 1 what was asked about failed, 2 usage, 3 waiting for a person, 4 not
    allowed, 5 cannot reach, 6 not found or conflict, 8 still going, 70 a bug in Shipway,
    78 configuration, 130 interrupted, 143 terminated.
    """
    ctx = click.get_current_context()
    if version:
        if output.json:
            output.emit({"version": __version__})
        else:
            click.echo(f"shipway {__version__}")
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
    return None
