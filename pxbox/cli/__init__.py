"""The command line. Each command is imported when it is called, so that starting stays quick.

Exit codes: 0 done, 1 a problem that the message names, 2 a wrong call or setting. What goes wrong
is said on standard error in plain sentences; standard output has what was asked for, alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, CycloptsError

from pxbox.model.errors import PxError
from pxbox.settings import OperatorError, SettingsError

DONE = 0
PROBLEM = 1
WRONG_CALL = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default of this process's own arguments, and return its exit code."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _app()(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, SettingsError) as error:
        return _say(error, WRONG_CALL)
    except (OperatorError, PxError, OSError) as error:
        return _say(error, PROBLEM)
    return code if isinstance(code, int) else DONE


def _say(error: Exception, code: int) -> int:
    print(f"pxbox: {error}", file=sys.stderr)
    return code


def _app() -> App:
    app = App(
        name="pxbox",
        help="A data-entry broker: programs ask people and bots for data, by JSON Schema.",
        version=_version,
        help_format="plaintext",
    )
    app.command("pxbox.cli.serve:serve", name="serve", help="Run the broker.")
    token = App(name="token", help="Tokens for callers.")
    token.command("pxbox.cli.token:create", name="create", help="Make a token, and print it alone.")
    app.command(token)
    app.command(
        "pxbox.cli.doctor:doctor",
        name="doctor",
        help="Check the installation and say what is wrong.",
    )
    app.command(
        "pxbox.cli.migrate:migrate",
        name="migrate",
        help="Bring the database to the shape that this version needs.",
    )
    app.command(
        "pxbox.cli.restore_done:restore_done",
        name="restore-done",
        help="Say that the database was restored: clients read their lists anew.",
    )
    return app


def _version() -> str:
    try:
        return version("pxbox")
    except PackageNotFoundError:
        return "not installed (run from its sources)"
