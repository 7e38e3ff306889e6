"""`pxbox serve`: run the broker."""

from __future__ import annotations

from pxbox.cli.flow_worker import FlowWorker
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

    worker = FlowWorker(settings)
    try:
        _supervise(settings, worker) if settings.workers > 1 else _serve_alone(settings, worker)
    except (DataDirInUse, ServerFailed) as error:
        raise OperatorError(str(error)) from None
    finally:
        worker.stop()
    return 0


def _serve_alone(settings: Settings, worker: FlowWorker) -> None:
    # Late, so that a wrong flag is answered at once.
    from pxbox.app import run
    from pxbox.cli.greeting import greet

    def listening(port: int, secret: str) -> None:
        greet(settings, port, secret)
        worker.start()

    run(settings, listening, before_draining=worker.stop)


def _supervise(settings: Settings, worker: FlowWorker) -> None:
    # The broker is not imported here: the supervisor stays small.
    from pxbox.supervisor import run

    run(settings, worker)
