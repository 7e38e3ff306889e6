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
STOP_SECONDS = 20.0
# Whom a worker speaks as is made with the key of the data directory.
_NOT_FOR_IT = ("PXBOX_TOKEN", "PXBOX_AS", "PXBOX_URL")


class FlowWorker:
    """Runs `pxbox worker` for these modules, again whenever it ends, from `start` to `stop`."""

    def __init__(self, settings: Settings) -> None:
        bare = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
        self._environ = bare | environment(settings) | {PARENT: str(os.getpid())}
        self._modules = settings.flows
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="flow worker", daemon=True)

    def start(self) -> None:
        """To be called once the broker has said where it listens."""
        self._thread.start()

    def stop(self) -> None:
        """End it: by SIGTERM, and where that takes too long by SIGKILL."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
        self._thread.join(STOP_SECONDS)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _keep(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            began = time.monotonic()
            command = [sys.executable, "-m", "pxbox", "worker", *self._modules]
            self._process = subprocess.Popen(
                command, env=self._environ, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()
            )
            code = self._process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            note(f"pxbox: the worker ended with {code}; it is started again in {pause:.0f} s")
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
