"""JSON that is given on the command line: as it is, or in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pxbox.cli.exits import CommandFailed, Exit
from pxbox.model.decoding import decode_json
from pxbox.model.errors import PxError

STANDARD_INPUT = "-"
_JSON = ("{", "[", '"')


def read_json(text: str, what: str) -> Any:
    """The JSON in `text`, in the file `@path`, or on standard input (`@-`).

    What is no JSON but the path of a file is read from there. Raises CommandFailed.
    """
    source = what
    if text.startswith("@"):
        name = text.removeprefix("@")
        text, source = read_file(name), f"{what} in {name}"
    elif text[:1] not in _JSON and _is_file(text):
        text, source = read_file(text), f"{what} in {text}"
    try:
        return decode_json(text.encode("utf-8", "surrogatepass"))
    except PxError as error:
        if source == what and text[:1] not in _JSON:
            # Not repeated: it may be a secret, and this a log.
            why = f"The {what} is neither JSON nor the name of a file."
        else:
            why = f"Cannot use the {source}: {error.detail.rstrip('.')}."
        raise CommandFailed(why, Exit.WRONG_CALL) from None


def read_text(text: str | None) -> str | None:
    """The text, or that of the file `@path`. Raises CommandFailed."""
    return read_file(text[1:]) if text is not None and text.startswith("@") else text


def read_file(name: str) -> str:
    """The text of a file, or of standard input, less a line's end at its end."""
    try:
        standard = name == STANDARD_INPUT
        text = sys.stdin.read() if standard else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise CommandFailed(f"Cannot read {name}: {reason}.", Exit.WRONG_CALL) from None
    return text.removesuffix("\n").removesuffix("\r")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
