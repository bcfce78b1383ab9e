"""``shipway completion``: the script that lets a shell complete commands, options and ids."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

from shipway.cli.command import Command, speaks
from shipway.cli.output import Output, write
from shipway.errors import UsageError


@click.command(
    cls=Command,
    examples=(
        "shipway completion bash > ~/.local/share/bash-completion/completions/shipway",
        "shipway completion zsh > ~/.zfunc/_shipway",
        "shipway completion fish > ~/.config/fish/completions/shipway.fish",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@speaks
def completion(output: Output, shell: str) -> None:
    """Print the completion script of a shell; the examples show where to put it."""
    from shipway.cli.commands import root

    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"there is no completion for {shell}", hint="use bash, zsh or fish")
    # source_template, not source(): the latter runs bash to look at its version.
    maker = found(root, {}, "shipway", "_SHIPWAY_COMPLETE")
    script = maker.source_template % maker.source_vars()
    if output.json:
        output.emit({"shell": shell, "script": script})
    else:
        write(sys.stdout, script)
