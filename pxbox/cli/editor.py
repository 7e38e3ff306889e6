"""An answer written in the person's own editor, as JSON."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pxbox.cli.exits import CommandFailed
from pxbox.cli.form.question import SKIPPED
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import words_for
from pxbox.cli.terminal import clean, note
from pxbox.model.errors import FieldError

_KNOWN = ("sensible-editor", "nano", "vim", "vi")
_COMMENT = "//"


def edit(sheet: Sheet, value: Any, errors: Sequence[FieldError] = ()) -> Any:
    """What the person left in the file; it starts from `value` and says what is asked for.

    Opened again until it is JSON. An empty file, or an editor that fails, raises CommandFailed.
    The file is readable by its owner alone, and gone afterwards.
    """
    command = shlex.split(_editor())
    start = {} if value is SKIPPED and "object" in sheet.view(sheet.schema).kinds() else value
    text = "" if start is SKIPPED else json.dumps(start, indent=2, ensure_ascii=False) + "\n"
    remarks = [*_outline(sheet), *(f"! {e.pointer or '(whole)'} {e.message}" for e in errors)]
    with tempfile.TemporaryDirectory(prefix="pxbox-") as folder:
        path = Path(folder) / "answer.json"
        while True:
            comments = "".join(f"{_COMMENT} {clean(remark)}\n" for remark in remarks)
            path.write_text(comments + text, "utf-8")
            path.chmod(0o600)
            _open(command, path)
            text = _without_comments(path.read_text("utf-8"))
            if not text.strip():
                raise CommandFailed("The file was empty: nothing was sent.")
            try:
                return json.loads(text)
            except ValueError as error:
                note(f"That is not JSON: {error}.")
                remarks = [*_outline(sheet), f"! not JSON: {error}"]


def _open(command: list[str], path: Path) -> None:
    try:
        code = subprocess.run([*command, str(path)], check=False).returncode
    except OSError as error:
        raise CommandFailed(
            f"Cannot run the editor {command[0]}: {error.strerror}. Set EDITOR to another one."
        ) from None
    if code != 0:
        raise CommandFailed(f"The editor {command[0]} ended with {code}: nothing was sent.")


def _editor() -> str:
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    found = named or next(filter(shutil.which, _KNOWN), None)
    if found is None:
        raise CommandFailed("No editor was found: set EDITOR to the command that starts yours.")
    return found


def _outline(sheet: Sheet) -> list[str]:
    """What is asked for, a line each; nothing that could be taken for an answer."""
    view = sheet.view(sheet.schema)
    told = [view.title] if view.title else []
    told.append("Write the answer as JSON. Lines that begin with // are left out.")
    for name, schemas in view.properties.items():
        inner = sheet.view(*schemas)
        kind = " or ".join(words_for(kind) for kind in sorted(inner.kinds())) or "anything"
        if inner.options is not None:
            kind = "one of " + ", ".join(json.dumps(o.value) for o in inner.options)
        needed = ", required" if name in view.required else ""
        told.append(f"  {name}: {kind}{needed}{'. ' + inner.help if inner.help else ''}")
    return told


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(_COMMENT))
