"""The one exception that means: the user can mend this."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(ValueError):
    """A mistake of the user's: the message says what was expected, what was found, and what to do."""


def run_command(main: Callable[[], None]) -> None:
    """Run a command's `main`; a UserError ends it in one line and exit status 2, anything else rises."""
    try:
        main()
    except UserError as error:
        # A loader's process sends its error wrapped in a traceback, whose last words are the message.
        message = " ".join(str(error).rpartition(f"{UserError.__name__}: ")[2].split())
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
