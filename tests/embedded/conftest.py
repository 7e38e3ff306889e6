"""Data directories for tests that do not care how the cluster in them was made.

Making one takes a second, and copying one half of that: most tests share one, in turn.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.embedded.clients import SECONDS
from tests.embedded.holder import dwellers
from tests.servers import DisposableServers


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose servers were started once, and stopped in good order."""
    servers = DisposableServers(tmp_path_factory.mktemp("made"))
    try:
        servers.start_postgres()
        servers.start_valkey()
        servers.close()
        yield servers.data_dir.root
    finally:
        servers.remove()


@pytest.fixture
def data_dir(made_once: Path) -> Iterator[Path]:
    """A data directory without running servers, shared with other tests: not to be damaged."""
    yield made_once
    kill_dwellers(made_once)


@pytest.fixture
def fill(made_once: Path) -> Callable[[Path], Path]:
    """A function that turns a path into a data directory with a cluster of the test's own."""

    def copy(data_dir: Path) -> Path:
        return Path(shutil.copytree(made_once, data_dir, dirs_exist_ok=True))

    return copy


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """End what a test left running in its own directory, and remove its clusters."""
    yield
    if any(tmp_path.iterdir()):
        kill_dwellers(tmp_path)
        shutil.rmtree(tmp_path)


def kill_dwellers(path: Path) -> None:
    """End what a test that failed has left running in a directory."""
    for process in dwellers(path):
        with suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(SECONDS)
