"""The last line: turns whatever a command raises into one clear error and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import weakref
from collections.abc import Sequence
from types import FrameType

import click

from shipway.cli.output import (
    Colour,
    clean,
    coloured,
    prepare_streams,
    settle_stdout,
    silence_stdout,
    write,
)
from shipway.errors import (
    ConfigurationError,
    ExitCode,
    ResourceError,
    ShipwayError,
    UsageError,
)

#: Seconds until a signal that was dropped comes again: out of the place that dropped it.
_AGAIN = 0.01
#: Seconds until it is looked whether an interrupt is still on its way.
_LOOK = 0.1
_KEPT = 'what was started is kept, see "shipway run list"'
#: What an interrupted command leaves, where that is no run.
_LEFT = {
    "check": "nothing is left running, and verdicts that were reached are remembered",
    "calibrate": "what was judged is kept, and the same command goes on from there",
}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class Interrupted(KeyboardInterrupt):
    """SIGINT arrived. An object of ours, of which can be told whether somebody dropped it."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived; like KeyboardInterrupt, it passes through ``except Exception``."""


def carry(words: Sequence[str]) -> int:
    """Be the process of one command line, from its streams and signals to its exit code."""
    prepare_streams()
    _listen()
    code = obey(words)
    settle_stdout()
    if code == ExitCode.INTERRUPTED:
        # Python remembers an interrupt that arrived inside an exec() (dataclasses use it while they
        # are imported) and would end by the signal instead of with our exit code.
        os._exit(code)
    # From here on a second Ctrl-C ends the process at once and without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return code


def obey(words: Sequence[str]) -> int:
    """Run one command line to its end; nothing but an exit code leaves here."""
    try:
        code = _invoke(words)
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        return ExitCode.DONE
    except KeyboardInterrupt:
        heard()
        return _interrupted("interrupted", words, ExitCode.INTERRUPTED)
    except Terminated:
        return _interrupted("terminated", words, ExitCode.TERMINATED)
    except Exception as error:  # noqa: BLE001 - the boundary: everything ends as a clear error
        return _report(error, words, json=wants_json(words))
    return code


def wants_json(words: Sequence[str]) -> bool:
    """Whether errors are to be JSON; looked up here since the fault may be in the words themselves."""
    before = list(words[: list(words).index("--")] if "--" in words else words)
    return "--json" in before


def _invoke(words: Sequence[str]) -> int:
    from shipway.cli.commands import root

    if "_SHIPWAY_COMPLETE" in os.environ:  # a shell asks what may come next
        root.main(list(words), prog_name="shipway")
    # Not root.main: it has its own mind about broken pipes and Ctrl-C.
    try:
        with root.make_context("shipway", list(words)) as ctx:
            result = root.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    return result if isinstance(result, int) else ExitCode.DONE


def _listen() -> None:
    sys.unraisablehook = _unraised
    if (
        signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    ):  # as it is for what runs in the background
        signal.signal(signal.SIGINT, _interrupt)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asked us not to hear it
            signal.signal(number, _terminate)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise _watched(Interrupted())  # no name here may hold it: the traceback holds this frame


#: Set as soon as an interrupt has reached whoever ends the command.
_heard = threading.Event()


def heard() -> None:
    """The interrupt arrived where it is dealt with: it need not come again."""
    _heard.set()


def _watched(stop: Interrupted) -> Interrupted:
    """Libraries in C take any error of what they call for a no, an interrupt too: then it comes again."""
    _look_later(weakref.ref(stop))
    return stop


def _look_later(stop: weakref.ref[Interrupted]) -> None:
    """Whether it was dropped is seen by that nobody has it any more."""

    def look() -> None:
        if _heard.is_set():
            return
        if stop() is None:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            _look_later(stop)

    again = threading.Timer(_LOOK, look)
    again.daemon = True
    again.start()


def _unraised(lost: sys.UnraisableHookArgs) -> None:
    """A signal that arrived where Python drops what is raised (a finalizer, a callback out of C)
    would neither end the command nor stay silent: it comes again a moment later.
    """
    if issubclass(lost.exc_type, Interrupted):
        return  # it is watched, and comes again by itself
    for kind, number in ((KeyboardInterrupt, signal.SIGINT), (Terminated, signal.SIGTERM)):
        if issubclass(lost.exc_type, kind):
            again = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
    sys.__unraisablehook__(lost)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _interrupted(word: str, words: Sequence[str], code: int) -> int:
    then = next((said for name, said in _LEFT.items() if name in words), _KEPT)
    with contextlib.suppress(OSError):  # the terminal may be what went away
        write(sys.stderr, f"\n{word}; {then}\n")
    return code


def _report(error: Exception, words: Sequence[str], *, json: bool) -> int:
    known = as_shipway(error)
    try:
        if isinstance(error, click.exceptions.NoArgsIsHelpError) and not json:
            write(sys.stderr, error.ctx.get_help() + "\n")
            return ExitCode.USAGE
        if known is None:
            from shipway.cli.bugs import as_bug

            known = as_bug(error, words)
        show(known, json=json)
    except OSError:
        return ExitCode.BUG if known is None else known.exit_code  # nobody is left to read it
    return known.exit_code


def show(error: ShipwayError, *, json: bool) -> None:
    """Write an error to stderr: ``error[CODE]: message`` and a hint, or the same as JSON."""
    if json:
        import json as codec

        from shipway.telemetry.failures import told

        write(sys.stderr, codec.dumps({"error": told(error)}) + "\n")
        return
    styled = coloured(sys.stderr, _colour_choice())
    head = f"error[{error.code}]:"
    if styled:
        head = click.style(head, fg="red", bold=True)
    lines = [f"{head} {_indented(error.message)}"]
    if error.hint:
        lines.append(f"  hint: {_indented(error.hint)}")
    write(sys.stderr, "\n".join(lines) + "\n")


def _indented(text: str) -> str:
    return clean(text).strip().replace("\n", "\n  ")


def _colour_choice() -> Colour:
    """As it was typed; looked up here, since the words may not have been understood."""
    typed = " ".join(sys.argv).replace("--color=", "--color ")
    if "--color always" in typed:
        return "always"
    return "never" if "--color never" in typed else "auto"


def as_shipway(error: BaseException) -> ShipwayError | None:
    """The error of our tree that stands for ``error``; None means it is a bug of ours."""
    match error:
        case ShipwayError():
            return error
        case click.UsageError():
            return _usage(error)
        case click.ClickException():
            return UsageError(error.format_message())
        case MemoryError():
            return ResourceError("memory ran out", hint="close something, then try again")
        case OSError():
            return _from_os(error)
    return None


def _usage(error: click.UsageError) -> ShipwayError:
    path = error.ctx.command_path if error.ctx else "shipway"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return UsageError(f"{path} needs a command", hint=f'see "{path} --help"')
    message = error.format_message().rstrip(".")
    near = getattr(error, "possibilities", None)
    if near:
        message = error.message.rstrip(".")
        return UsageError(_lower(message), hint=f"did you mean {near[0]}?")
    return UsageError(_lower(message), hint=f'see "{path} --help"')


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]


def _from_os(error: OSError) -> ShipwayError | None:
    where = f": {os.fsdecode(error.filename)}" if error.filename is not None else ""
    if error.errno in _FULL:
        reason = os.strerror(error.errno or 0).lower()
        return ResourceError(
            f"{reason}{where}", hint='free some space or limits, then "shipway run resume @last"'
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS} and error.filename is not None:
        return ConfigurationError(
            f"{os.strerror(error.errno or 0).lower()}{where}",
            hint="check who owns it, or set SHIPWAY_HOME to a directory that you can write to",
        )
    return None
