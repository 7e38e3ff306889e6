"""A broker process under a supervisor: `python -m pxbox.worker POST`, started by nobody else."""

from __future__ import annotations

import os
import sys

import msgspec

from pxbox.app import run
from pxbox.embedded import DataDirInUse, ServerFailed
from pxbox.observe import name_worker
from pxbox.settings import OperatorError, Settings, load
from pxbox.supervisor.berth import Berth
from pxbox.supervisor.notes import Post


def main(argument: str) -> int:
    """Serve until SIGTERM, or until the supervisor is gone; the exit code."""
    settings = load({}, os.environ)
    post = msgspec.json.decode(argument, type=Post)
    name_worker(post.number)
    try:
        run(settings, lambda port, secret: None, Berth(post, lambda: _greet(settings)))
    except (OperatorError, DataDirInUse, ServerFailed) as error:
        print(f"pxbox: {error}", file=sys.stderr)  # noqa: T201 (what `pxbox serve` says)
        return 1
    return 0


def _greet(settings: Settings) -> None:
    # Late: one worker does it once.
    from pxbox.cli.greeting import greet

    assert settings.secret is not None, "the supervisor gives it"
    greet(settings, settings.port, settings.secret)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
