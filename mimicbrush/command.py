"""Run a command: install signal handlers, answer `--help` or parse the command line, and only then import the work.

A command names its parts by dotted paths, so that `--help`, a mistyped option and a missing file are answered without
importing torch. This module imports very little: until `run_command` has begun, Ctrl-C prints a traceback.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TextIO

from mimicbrush.errors import Terminated, UserError, end_with_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

REPEAT_SECONDS = 0.5
"""A second signal within this time counts as the first: `timeout` and `make` signal both the child and its group."""


class Command(NamedTuple):
    """One command, its parts named by dotted paths."""

    config: str
    """Its config, a frozen dataclass in a module that does not import torch."""
    run: str
    """Function that receives the config, does the work, and may return a last line to print. Its module does the heavy
    imports at its top."""
    program: str = ""
    """Words that start the command, such as `python train.py`; a group fills them in."""
    check: str | None = None
    """Function that receives the config before the module of `run` is imported, and raises UserError for a missing
    file; its module does not import torch."""
    announce: str | None = None
    """A function from the config to the line that is printed before the module of `run` is imported, which may take ten
    seconds; it returns None where another process prints it."""
    parse: str | None = None
    """Function from the arguments and the class of the config to the config, for commands whose parsing differs."""
    examples: Sequence[str] = ()
    """Command lines at the beginning of the help."""
    ordinary: Sequence[str] = ()
    """Dotted names of the options that most people need; the help shows them first."""
    positional: Sequence[str] = ()
    """Options whose values may be the first words of the command line, without a name."""
    default: Path | None = None
    """YAML file that is read if no --config is given."""
    then: str = "run the same command again to resume"
    """Advice after `stopped; ` in the last line when Ctrl-C or SIGTERM ends the command; empty for none."""
    waits_for_threads: bool = True
    """Whether the process, after cleaning up on a signal, waits for threads that still work."""


class CommandGroup(NamedTuple):
    """Commands of one program, each chosen by its name."""

    program: str
    commands: Mapping[str, Command]
    examples: Sequence[str] = ()
    """Command lines that open the help."""
    default: Command | None = None
    """The command of a line that begins with an option rather than a name."""


def run_command(command: Command | CommandGroup) -> None:
    """Run the command of this process.

    A UserError ends it with one line (or a list) and status 2, Ctrl-C with one line and 130, SIGTERM with one line and
    143. If the reader of its output is gone, it ends quietly, with status 141 if work was left, like `yes | head`.
    Other exceptions are raised.
    """
    stop = _Stop()
    stop.install()
    try:
        call_command(command, sys.argv[1:], stop=stop)
    except KeyboardInterrupt as interrupt:
        stop.end(signal.SIGINT, *interrupt.args[:1])
    except BaseException as error:
        # A library may turn the interruption into its own error, and so may the end of a worker.
        if stop.received:
            stop.end(stop.received)
        if isinstance(error, BrokenPipeError) and any(map(_has_lost_reader, _outputs())):
            raise SystemExit(128 + signal.SIGPIPE) from None
        if isinstance(error, UserError):
            end_with_error(error)
        raise
    finally:
        _drop_unread()


def call_command(command: Command | CommandGroup, arguments: Sequence[str], *, stop: _Stop | None = None) -> None:
    """Answer `--help`, or parse, check and run; raises UserError for a mistake.

    stop: signal handling, which is informed of the command and of the beginning and end of its work.
    """
    if isinstance(command, CommandGroup):
        command, arguments = _choose(command, list(arguments))
    if command is None:
        return
    if "--help" in arguments or "-h" in arguments:
        from mimicbrush.command_help import command_help

        _show(
            command_help(
                command.program,
                command.config,
                examples=command.examples,
                ordinary=command.ordinary,
                positional=command.positional,
                default=command.default,
            )
        )
        return
    if stop:
        stop.then, stop.waits_for_threads = command.then, command.waits_for_threads
    config = _parse(command, arguments)
    if command.check:
        _find(command.check)(config)
    if command.announce and (line := _find(command.announce)(config)):
        print(line, file=sys.stderr, flush=True)
    run = _find(command.run)
    try:
        if stop:
            stop.stage = "working"
        last_line = run(config)
        if last_line is not None:
            print(last_line)
        if stop:
            stop.then = ""  # nothing is left to resume
    finally:
        if stop:
            stop.stage = "ended"


def _choose(group: CommandGroup, arguments: list[str]) -> tuple[Command | None, list[str]]:
    """Return the command that the first word names, and the other words; without a word, print the group's help."""
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        from mimicbrush.command_help import group_help

        configs = {name: command.config for name, command in group.commands.items()}
        default = next((name for name in configs if group.default and configs[name] == group.default.config), None)
        _show(group_help(group.program, configs, examples=group.examples, default=default))
        return None, []
    if group.default and name.startswith("-"):
        return group.default._replace(program=group.program), arguments
    if name not in group.commands:
        raise UserError(f"{name} is not a command of {group.program}; choose from {', '.join(group.commands)}")
    return group.commands[name]._replace(program=f"{group.program} {name}"), arguments[1:]


def _show(text: str) -> None:
    with suppress(BrokenPipeError):  # for example in `--help | head`
        print(text, flush=True)


def _outputs() -> list[TextIO]:
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None]


def _has_lost_reader(stream: TextIO) -> bool:
    """Whether a stream is a pipe whose reader is gone; a broken pipe elsewhere, such as to a worker, is an error."""
    import select

    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)
    except (OSError, ValueError):  # the stream is not a file
        return False
    return bool(poll.poll(0))


def _drop_unread() -> None:
    """Flush the output; if its reader is gone, discard it, so that the interpreter does not fail at its end."""
    for stream in _outputs():
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parse(command: Command, arguments: Sequence[str]) -> object:
    arguments = list(arguments)
    for number, name in enumerate(command.positional):
        if number >= len(arguments) or arguments[number].startswith("-"):
            break
        arguments[number] = f"--{name}={arguments[number]}"
    if command.parse:
        return _find(command.parse)(arguments, _find(command.config))
    from mimicbrush.config import parse_config

    return parse_config(_find(command.config), arguments, default=command.default)


def _find(path: str) -> Callable:
    from importlib import import_module

    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


class _Stop:
    """The handling of SIGINT and SIGTERM.

    While modules are imported there is nothing to clean up, and a library could swallow an exception: the process ends
    at once. While the command works, an exception in the main thread lets it clean up.
    """

    def __init__(self) -> None:
        self.then = ""
        """Advice in the last line, after `stopped`."""
        self.waits_for_threads = True
        self.stage = "starting"
        """One of starting, working, ended."""
        self.received: int | None = None
        """The signal that asked the work to end."""
        self._since = 0.0
        self._has_spoken = False
        self._process = os.getpid()

    def install(self) -> None:
        """Handle each signal, unless the command was started with it ignored, for example by nohup."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        sys.unraisablehook = self._deliver_again
        # Registered first, so called last: afterwards the interpreter resets handlers, and a signal would kill it.
        atexit.register(self._ignore)

    def _ignore(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def end(self, number: int, line: str = "") -> None:
        """Exit with the last line, by default `stopped; ` and `then`."""
        self._print(number, line)
        if not self.waits_for_threads:
            os._exit(128 + number)
        raise SystemExit(128 + number) from None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked child: only its parent prints the line
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif self.stage == "working" and self.received is None:
            self.received, self._since = number, time.monotonic()
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated
        elif self.stage != "working" or time.monotonic() - self._since > REPEAT_SECONDS:
            number = self.received or number
            self._print(number)
            os._exit(128 + number)

    def _print(self, number: int, line: str = "") -> None:
        if self._has_spoken:
            return
        self._has_spoken = True
        stopped = "stopped by SIGTERM" if number == signal.SIGTERM else "stopped"
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or interrupted while it was written to
                stream.flush()
        with suppress(OSError):
            os.write(sys.__stderr__.fileno(), f"{line or '; '.join(filter(None, [stopped, self.then]))}\n".encode())

    def _deliver_again(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Send a signal again whose exception was lost because it was raised in a destructor or a C callback."""
        if self.received is None or not isinstance(unraisable.exc_value, KeyboardInterrupt | Terminated):
            sys.__unraisablehook__(unraisable)
            return
        from threading import Timer, main_thread

        number, self.received = self.received, None
        if hasattr(signal, "pthread_kill"):
            Timer(0.01, signal.pthread_kill, [main_thread().ident, number]).start()
        else:
            from _thread import interrupt_main

            Timer(0.01, interrupt_main, [number]).start()
