"""`pxbox serve`: run the broker."""

from __future__ import annotations

from pxbox.cli.options import EVERY_FLAG, with_settings
from pxbox.settings import OperatorError, Settings, require_servable


@with_settings(*EVERY_FLAG)
def serve(settings: Settings) -> int:
    """Run the broker until it is told to stop (SIGTERM or SIGINT), then drain and exit.

    Without --database-url and --redis-url it runs a PostgreSQL and a Valkey of its own, under
    --data-dir. Every flag can be set by the variable behind it, and the shared secret by
    PXBOX_SECRET.
    """
    require_servable(settings)
    from pxbox.embedded import DataDirInUse, ServerFailed

    try:
        _supervise(settings) if settings.workers > 1 else _serve_alone(settings)
    except (DataDirInUse, ServerFailed) as error:
        raise OperatorError(str(error)) from None
    return 0


def _serve_alone(settings: Settings) -> None:
    # Late, so that a wrong flag is answered at once.
    from pxbox.app import run
    from pxbox.cli.flow_worker import FlowWorker
    from pxbox.cli.greeting import greet

    worker = FlowWorker(settings)

    def listening(port: int, secret: str) -> None:
        greet(settings, port, secret)
        if settings.flows:
            worker.start()

    try:
        run(settings, listening)
    finally:
        worker.stop()


def _supervise(settings: Settings) -> None:
    # The broker is not imported here: the supervisor stays small.
    from pxbox.supervisor import run

    run(settings)
