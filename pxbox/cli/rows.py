"""Rows of the list that this terminal has shown last, in place of ids: nobody types 26 letters.

A list that is drawn for a person keeps the ids of its rows in the person's state directory, one
file per terminal session, so that another window's list never changes what a number means here.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from pxbox.cli.exits import CommandFailed, Exit

LONGEST_KEPT_SECONDS = 86_400
"""A session's number is given out again one day, and who comes back tomorrow has forgotten."""
_ROW = re.compile(r"[0-9]{1,5}")
_ROWS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


def keep(ids: Sequence[str], first: int) -> None:
    """Remember that row `first` and those after it are these. A home that cannot be written to has
    no numbers, and loses nothing else."""
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in folder.glob("rows-*"):
            if _age(old) > LONGEST_KEPT_SECONDS:
                old.unlink(missing_ok=True)
        _file().write_text(json.dumps({"first": first, "ids": list(ids)}), "utf-8")
    except OSError:
        return


def id_of(text: str) -> str:
    """The id that is meant: what is no number of a row is one itself. Raises CommandFailed."""
    return _id(int(text)) if _ROW.fullmatch(text) else text


def ids_of(text: str) -> list[str]:
    """The same, and `3-7` for several rows."""
    if found := _ROWS.fullmatch(text):
        first, last = int(found[1]), int(found[2])
        if last < first:
            raise CommandFailed(f"Rows go upwards: {last}-{first}, not {text}.", Exit.WRONG_CALL)
        return [_id(row) for row in range(first, last + 1)]
    return [id_of(text)]


def _id(row: int) -> str:
    first, ids = _kept()
    if not ids:
        raise CommandFailed(
            f"{row} is the row of a list, and this terminal has shown none lately. `pxbox inbox` "
            "numbers what waits for you.",
            Exit.WRONG_CALL,
        )
    last = first + len(ids) - 1
    if not first <= row <= last:
        raise CommandFailed(
            f"There is no row {row}: the list that was shown last has {first} to {last}.",
            Exit.WRONG_CALL,
        )
    return ids[row - first]


def _kept() -> tuple[int, list[str]]:
    try:
        if _age(_file()) > LONGEST_KEPT_SECONDS:
            return 1, []
        kept = json.loads(_file().read_text("utf-8"))
        return int(kept["first"]), [str(id) for id in kept["ids"]]
    except (OSError, ValueError, KeyError, TypeError):
        return 1, []


def _age(file: Path) -> float:
    # The clock of files, not ours to state: only a day matters.
    return time.time() - file.stat().st_mtime


def _file() -> Path:
    return _folder() / f"rows-{os.getsid(0)}.json"


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "pxbox"


def _one(_: Any, tokens: Sequence[Token]) -> str:
    return id_of(tokens[0].value)


def _several(_: Any, tokens: Sequence[Token]) -> list[str]:
    return list(dict.fromkeys(id for token in tokens for id in ids_of(token.value)))


Id = Annotated[
    str,
    Parameter(
        help="The request's id, or its row in the list that was shown last.",
        metavar="ID",
        converter=_one,
    ),
]
Ids = Annotated[
    list[str],
    Parameter(
        help="The requests' ids, or their rows in the list that was shown last: 3 5-9.",
        metavar="ID...",
        negative=(),
        converter=_several,
    ),
]
