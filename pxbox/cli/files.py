"""`pxbox files`: what goes up to be referred to by an answer, and what comes down of one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.given import STANDARD_INPUT
from pxbox.cli.progress import shown_progress
from pxbox.cli.terminal import clean, put, put_json
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.model import wire

PATIENCE_SECONDS = 30.0
"""How long a line may be away while a file goes over it."""

Json = Annotated[Switch, Parameter(help="Print what is known of the file as JSON.")]
Given = Annotated[str | None, Parameter(show_default=False)]


def upload(
    request: str,
    path: str,
    /,
    *,
    name: Given = None,
    content_type: Given = None,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Upload a file for your answer to a request, and print the id that the answer has for it.

    Parameters
    ----------
    request
        The request's id.
    path
        The file; - for standard input.
    name
        What to call it, in place of its own name.
    content_type
        Its type, such as image/png, in place of what its name says.
    """
    view = upload_file(where, request, path, name, content_type)
    put_json(view) if json else put(view.id)
    return Exit.DONE


def download(
    file: str,
    /,
    *,
    output: Annotated[
        str | None, Parameter(name=("--output", "-o"), metavar="PATH", show_default=False)
    ] = None,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Download a file that an answer refers to, and print where it is.

    Parameters
    ----------
    file
        The file's id.
    output
        Where to, - for standard output; what is there is replaced. Without it, under its own name
        in the current folder, where nothing of that name may be.
    """
    view = call(where, lambda px: px.files.get(file))
    to: Path | BinaryIO = Path(output or view.name)
    if output == STANDARD_INPUT:
        to = sys.stdout.buffer
    elif output is None and Path(view.name).exists():
        raise CommandFailed(
            f"{clean(view.name)} is there already; say where to by --output PATH.", Exit.CONFLICT
        )
    try:
        with shown_progress(view.name) as progress:
            call(
                where,
                lambda px: px.files.download(view, to, progress=progress),
                PATIENCE_SECONDS,
            )
    except OSError as error:
        raise CommandFailed(f"Cannot write {to}: {error.strerror or error}.") from None
    if isinstance(to, Path):
        put_json(view) if json else put(str(to))
    else:
        to.flush()
    return Exit.DONE


def upload_file(
    where: Where, request: str, path: str, name: str | None = None, content_type: str | None = None
) -> wire.FileView:
    """Upload it, showing how far it is. Raises CommandFailed."""
    standard = path == STANDARD_INPUT
    source: str | BinaryIO = sys.stdin.buffer if standard else path
    name = name or ("standard-input" if standard else Path(path).name)
    try:
        with shown_progress(name) as progress:
            return call(
                where,
                lambda px: px.files.upload(
                    request, source, name=name, content_type=content_type, progress=progress
                ),
                PATIENCE_SECONDS,
            )
    except OSError as error:
        why = error.strerror or str(error)
        raise CommandFailed(f"Cannot read {path}: {why}.", Exit.WRONG_CALL) from None
