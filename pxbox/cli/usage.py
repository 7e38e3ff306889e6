"""A call that cannot be understood: what is wrong with it, and what to type instead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.help import format_usage

from pxbox.cli.terminal import clean

_OTHER_WORDS = {
    "list": "inbox", "ls": "inbox", "pending": "inbox", "create": "ask", "new": "ask",
    "request": "ask", "get": "show", "status": "show", "view": "show", "respond": "answer",
    "reply": "answer", "submit": "answer", "reject": "decline", "refuse": "decline",
    "take": "claim", "withdraw": "cancel", "start": "serve", "run": "serve", "broker": "serve",
    "tail": "watch", "events": "watch", "user": "entities", "group": "entities", "login": "token",
    "remove": "delete", "rm": "delete", "undelete": "restore", "help": "--help",
    "version": "--version",
}  # fmt: skip
"""What people type for a command that is called otherwise here."""
_EXAMPLES = {
    "ask": """pxbox ask '{"title": "Lunch?", "type": "boolean"}' --to ana --wait""",
    "answer": "pxbox answer 3 (the third row of `pxbox inbox`), or pxbox answer ID -F name=value",
    "claim": "pxbox claim 3 (the third row of `pxbox inbox`)",
    "show": "pxbox show 3 (the third row of `pxbox inbox` or `pxbox requests`)",
    "decline": """pxbox decline 3 --reason "on leave" (the third row of `pxbox inbox`)""",
    "wait": "pxbox wait 3 (the third row of `pxbox requests`)",
    "snooze": "pxbox snooze 3-7 --until 2h (rows 3 to 7 of `pxbox inbox`)",
    "delegate": "pxbox delegate 3 ben",
    "reassign": "pxbox reassign 3 ben group:ops",
    "watch": "pxbox watch entity:ana",
    "entities create": "pxbox entities create user ana",
    "entities add-member": "pxbox entities add-member group:ops ana",
    "token create": "pxbox token create --sub ana --scope respond",
}


def explain(error: CycloptsError, root: App) -> tuple[str, list[str]]:
    """What is wrong, in a sentence or two; and lines that show how the command is called."""
    chain = list(error.command_chain or ())
    said = clean(_what(error, root, chain))
    usage = clean(format_usage(root, chain).plain)
    lines = [usage if usage.startswith("Usage:") else f"Usage: {usage}"]
    if example := _EXAMPLES.get(" ".join(chain)):
        lines.append(f"For example: {example}")
    else:
        lines.append(f"All of it: {' '.join(['pxbox', *chain])} --help")
    return said, lines


def _what(error: CycloptsError, root: App, chain: Sequence[str]) -> str:
    match error:
        case UnknownCommandError(unused_tokens=[first, *_]):
            return _unknown_command(first, root, chain)
        case UnknownOptionError():
            return _unknown_option(error, chain)
        case UnusedCliTokensError(unused_tokens=[first, *_]):
            return (
                f"{first!r} is one word too many for `pxbox {' '.join(chain)}`: options go by "
                "their names, and what has spaces in it wants quotes."
            )
        case MissingArgumentError() if error.argument is not None:
            return _missing(error)
        case CoercionError(token=token) if token is not None:
            if error.target_type is int:
                return f"{token.keyword or 'It'} must be a whole number, not {token.value[:40]!r}."
    return str(error)


def _unknown_command(typed: str, root: App, chain: Sequence[str]) -> str:
    if typed.startswith("-"):
        return f"Options come after the command, as in `pxbox inbox {typed} ...`."
    group = root
    for name in chain:
        group = group[name]
    names = [name for name in group if not name.startswith("-")]
    where = " ".join(["pxbox", *chain])
    meant = None if chain else _OTHER_WORDS.get(typed)
    near = f" Did you mean `pxbox {meant}`?" if meant else _near(typed, names, f"{where} ")
    among = f" It has: {', '.join(names)}." if chain else ""
    return f"`{where}` has no command {typed!r}.{near}{among}"


def _unknown_option(error: UnknownOptionError, chain: Sequence[str]) -> str:
    typed = error.token.keyword or error.token.value
    names = [name for argument in error.argument_collection for name in argument.names]
    known = [name for name in names if name.startswith("-")]
    return f"`{' '.join(['pxbox', *chain])}` has no option {typed}.{_near(typed, known)}"


def _missing(error: MissingArgumentError) -> str:
    assert error.argument is not None
    name = error.argument.name
    value = _placeholder(error)
    if error.keyword is not None:
        given = f"{error.keyword} {value}, or {error.keyword}={value} where it begins with a hyphen"
        return f"{error.keyword} wants a value: {given}."
    typed = [token for token in error.unused_tokens or () if token.startswith("-")]
    near = get_close_matches(name, typed, n=1)
    if near:
        return f"There is no option {near[0]}. Did you mean {name}?"
    return f"{name} {value} is missing." if name.startswith("-") else f"{name} is missing."


def _placeholder(error: MissingArgumentError) -> str:
    metavar: Any = getattr(getattr(error.argument, "parameter", None), "metavar", None)
    return metavar if isinstance(metavar, str) else "VALUE"


def _near(typed: str, known: Iterable[str], prefix: str = "") -> str:
    near = get_close_matches(typed, list(known), n=1)
    return f" Did you mean `{prefix}{near[0]}`?" if near else ""
