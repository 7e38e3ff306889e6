"""`pxbox serve --flows`: a worker beside the broker, as a process of its own that ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

from pxbox.cli.terminal import note
from pxbox.settings import Settings, environment

PARENT = "PXBOX_WORKER_PARENT"
"""Tells a worker which process it is to end with, be it killed."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# One that lived so long has done some good: the next pause is short again.
STEADY_SECONDS = 60.0
# Whom a worker speaks as is made with the key of the data directory.
_NOT_FOR_IT = ("PXBOX_TOKEN", "PXBOX_AS", "PXBOX_URL")


class FlowWorker:
    """Runs `pxbox worker` for these modules, again whenever it ends, from `start` to `stop`."""

    def __init__(self, settings: Settings) -> None:
        bare = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
        self._environ = bare | environment(settings) | {PARENT: str(os.getpid())}
        self._modules = settings.flows
        self._grace_seconds = settings.grace_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="flow worker", daemon=True)

    def start(self) -> None:
        """To be called once it is said where the broker listens. Without modules: nothing."""
        if self._modules:
            self._thread.start()

    def stop(self) -> None:
        """End it: by SIGTERM, so that it hands back what it has in hand, for which the broker has
        to serve still; where that takes longer than `--grace-seconds`, by SIGKILL."""
        with self._starting:
            self._stopping.set()
        if not self._thread.is_alive():
            return
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
        self._thread.join(self._grace_seconds)
        if self._process is not None and self._process.poll() is None:
            note("pxbox: the worker does not end; it is killed, and its flows go on elsewhere")
            self._process.kill()
            self._thread.join()

    def _keep(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while (process := self._begun()) is not None:
            began = time.monotonic()
            code = process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            note(f"pxbox: the worker ended with {code}; it is started again in {pause:.0f} s")
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _begun(self) -> subprocess.Popen[bytes] | None:
        """A process; None once it is to be none any more."""
        with self._starting:
            if self._stopping.is_set():
                return None
            # A session of its own: a terminal's Ctrl-C is for the broker, which ends it first.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pxbox", "worker", *self._modules], env=self._environ,
                stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True,
            )  # fmt: skip
            return self._process
