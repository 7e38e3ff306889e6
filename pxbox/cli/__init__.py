"""The command line. Each command is imported when it is called, so that starting stays quick.

What goes wrong is said on standard error in plain sentences, and by the exit code (`exits`);
standard output has what was asked for, alone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cyclopts import App, CycloptsError, Group

from pxbox.cli.exits import CommandFailed, Exit, problem_of
from pxbox.model.errors import PxError
from pxbox.settings import OperatorError, SettingsError

_BROKER = Group("The broker", sort_key=1)
_ASKING = Group("Asking", sort_key=2)
_ANSWERING = Group("Answering", sort_key=3)
_REST = Group("More", sort_key=4)

_COMMANDS = (
    ("serve", "serve:serve", _BROKER, "Run the broker."),
    ("doctor", "doctor:doctor", _BROKER, "Check the installation and say what is wrong."),
    ("worker", "worker:worker", _BROKER, "Run flows."),
    (
        "migrate",
        "migrate:migrate",
        _BROKER,
        "Bring the database to the shape that this version needs.",
    ),
    (
        "restore-done",
        "restore_done:restore_done",
        _BROKER,
        "Say that the database was restored: clients read their lists anew.",
    ),
    (
        "collect-files",
        "collect_files:collect_files",
        _BROKER,
        "Delete files that no answer refers to.",
    ),
    ("ask", "ask:ask", _ASKING, "Ask somebody for data, and wait for the answer if wanted."),
    ("wait", "ask:wait", _ASKING, "Wait for the answer to a request that was made."),
    ("requests", "requests:requests", _ASKING, "List what you have asked."),
    ("show", "show:show", _ASKING, "Show a request, and its answer."),
    ("cancel", "act:cancel", _ASKING, "Withdraw a request."),
    ("inbox", "inbox:inbox", _ANSWERING, "List what waits for your answer."),
    ("claim", "act:claim", _ANSWERING, "Take a request, so that nobody else answers it."),
    ("answer", "answer:answer", _ANSWERING, "Answer a request."),
    ("release", "act:release", _ANSWERING, "Give a claim back."),
    ("decline", "act:decline", _ANSWERING, "Say that no answer will come from you."),
    ("reassign", "act:reassign", _ANSWERING, "Have others asked instead."),
    ("delegate", "act:delegate", _ANSWERING, "Have another hold the claim."),
    ("read", "marks:read", _ANSWERING, "Mark requests as read."),
    ("unread", "marks:unread", _ANSWERING, "Mark requests as unread."),
    ("snooze", "marks:snooze", _ANSWERING, "Have requests out of sight for a while."),
    ("wake", "marks:wake", _ANSWERING, "Have snoozed requests in sight again."),
    ("delete", "marks:delete", _ANSWERING, "Throw requests out of your inbox."),
    ("restore", "marks:restore", _ANSWERING, "Take deleted requests back."),
    ("retention", "jobs:retention", _BROKER, "Delete requests that were closed long ago."),
    ("export", "jobs:export", _BROKER, "Print requests with their answers."),
    ("erase", "jobs:erase", _BROKER, "Erase what a person has left."),
    ("watch", "watch:watch", _REST, "Print the events of a channel as they happen."),
)
_TOKEN = (
    ("create", "token:create", "Make a token, and print it alone."),
    ("link", "link:link", "Make a link that signs a browser in, once, and print it alone."),
)
_ENTITIES = (
    ("create", "entities:create", "Make somebody who can be asked, or a group of them."),
    ("show", "entities:show", "Show an entity, with its members."),
    ("add-member", "entities:add_member", "Put a user or bot into a group or role."),
    ("remove-member", "entities:remove_member", "Take a user or bot out of a group or role."),
)

_FLOWS = (
    ("start", "flows:start", "Start a flow, and wait for its end if wanted."),
    ("list", "flows:list_flows", "List flows, the newest first."),
    ("show", "flows:show", "Show a flow, and everything that happened to it."),
    ("tail", "flows:tail", "Print what happens to a flow as it happens."),
    ("record", "record:record", "Print all that is recorded of a flow, for tests to replay."),
    ("retry", "steer:retry", "Run flows that are parked or failed again."),
    ("cancel", "steer:cancel", "Cancel flows and what they wait for."),
    ("signal", "steer:signal", "Send flows a signal."),
    ("resume", "steer:resume", "Tell flows that something happened."),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default of this process's own arguments, and return its exit code."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    app = _app()
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CommandFailed as error:
        return _say(tokens, str(error), error.exit, error.problem)
    except CycloptsError as error:
        return _say_usage(tokens, error, app)
    except SettingsError as error:
        return _say(tokens, str(error), Exit.WRONG_CALL)
    except BrokenPipeError:
        return _reader_left()
    except (OperatorError, PxError, OSError) as error:
        return _say(tokens, str(error), Exit.PROBLEM)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return code if isinstance(code, int) else Exit.DONE


def _say(
    words: Sequence[str], message: str, exit: Exit, problem: Mapping[str, Any] | None = None
) -> int:
    """Say what went wrong on standard error: in words, or with --json as a problem document."""
    if any(word == "--json" or word.startswith("--json=") for word in words):
        message = json.dumps(problem or problem_of(message, exit), ensure_ascii=False)
    else:
        message = f"pxbox: {message}"
    print(message, file=sys.stderr)
    return exit


def _say_usage(tokens: Sequence[str], error: CycloptsError, app: App) -> int:
    # Late: only who has mistyped needs it.
    from pxbox.cli.usage import explain

    said, lines = explain(error, app)
    problem = {**problem_of(said, Exit.WRONG_CALL), "usage": lines[0].removeprefix("Usage: ")}
    return _say(tokens, "\n".join([said, *lines]), Exit.WRONG_CALL, problem)


def _reader_left() -> int:
    """Whoever read our output has enough of it; Python would complain once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.PROBLEM


def _app() -> App:
    app = App(
        name="pxbox",
        help="A data-entry broker: programs ask people and bots for data, by JSON Schema.",
        version=_version,
        help_format="plaintext",
    )
    for name, target, group, help in _COMMANDS:
        app.command(f"pxbox.cli.{target}", name=name, help=help, group=group)
    for name, help, commands in (
        ("token", "Tokens for callers.", _TOKEN),
        ("entities", "Who can be asked.", _ENTITIES),
        ("flows", "Code that waits for people.", _FLOWS),
    ):
        inner = App(name=name, help=help, group=_REST)
        for each, target, about in commands:
            inner.command(f"pxbox.cli.{target}", name=each, help=about)
        app.command(inner)
    app.register_install_completion_command(
        help="Have the shell complete pxbox's commands and options."
    )
    return app


def _version() -> str:
    try:
        return version("pxbox")
    except PackageNotFoundError:
        return "not installed (run from its sources)"
