"""The data directory: who holds it, and what lies where in it.

postgres/          the cluster, made once (`postgres.new-...` while it is being made)
valkey/            Valkey's working directory, empty: nothing in Redis has to last (E2)
run/               the sockets, for the servers' user alone
run.path           where the sockets are instead, if `run/` has too long a path
lock               held by the one broker that runs here; its pid
postgres.pid, postgres.log, valkey.pid, valkey.log
                   (`.log.1`: the run before)
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pxbox.embedded.errors import DataDirInUse, ServerFailed, unusable

POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"

# sockaddr_un holds 108 bytes on Linux and 104 on macOS, both with a closing NUL (unix(7)).
SOCKET_PATH_BYTES = 103


@dataclass(frozen=True, slots=True)
class DataDir:
    """The paths of one data directory. `root` is absolute and free of symbolic links."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> DataDir:
        """Name the data directory at `path`, which need not exist yet."""
        return cls(Path(path).resolve())

    @property
    def cluster(self) -> Path:
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def run_record(self) -> Path:
        return self.root / "run.path"

    def log(self, server: str) -> Path:
        return self.root / f"{server}.log"

    def pid_file(self, server: str) -> Path:
        return self.root / f"{server}.pid"

    def make(self) -> None:
        """Create the directory, for this user alone, if it is not there.

        Raises ServerFailed where that cannot be done.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(self.root, error) from error

    def recorded_sockets(self) -> Path:
        """Say where the sockets of a running server are, without making anything."""
        if _fits(self.run):
            return self.run
        try:
            recorded = Path(self.run_record.read_text().strip())
        except FileNotFoundError:
            return self.run
        # In a copy of a data directory, the record is that of the original.
        return recorded if recorded.name.startswith(self._short_prefix()) else self.run

    def make_sockets(self, owner: int) -> Path:
        """Return the directory for the sockets, which only the user `owner` can enter.

        The directory is `run/`, or a short one under the system's temporary directory that is
        recorded in `run.path`: the same again at every later call while it is there and ours.
        """
        if _fits(self.run):
            self.run.mkdir(exist_ok=True)
            self.run.chmod(0o700)
            return self.run
        recorded = self.recorded_sockets()
        if recorded != self.run and _private(recorded, owner):
            return recorded
        return self._make_short()

    def drop_short_sockets(self) -> None:
        """Remove the short directory that `make_sockets` has made, if there is an empty one."""
        path = self.recorded_sockets()
        if path == self.run:
            return
        try:
            path.rmdir()
        except OSError:
            return
        self.run_record.unlink(missing_ok=True)

    def _short_prefix(self) -> str:
        return f"pxbox-{hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]}-"

    def _make_short(self) -> Path:
        path = Path(tempfile.mkdtemp(prefix=self._short_prefix())).resolve()
        if not _fits(path):
            path.rmdir()
            raise ServerFailed(
                f"The paths {self.run} and {path.parent} are too long for a Unix socket.",
                advice="Give a shorter --data-dir, or set TMPDIR to a shorter path.",
            )
        self.run_record.write_text(f"{path}\n")
        return path


def _fits(sockets: Path) -> bool:
    # A comma separates hosts in the URLs, and directories in the server's settings.
    longest = os.fsencode(sockets / POSTGRES_SOCKET)
    return len(longest) <= SOCKET_PATH_BYTES and b"," not in longest


def _private(path: Path, owner: int) -> bool:
    # In a shared temporary directory somebody else may have put something in its place.
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    ours = found.st_uid in (owner, os.geteuid()) and not found.st_mode & 0o077
    return stat.S_ISDIR(found.st_mode) and ours


@contextmanager
def hold(data_dir: DataDir) -> Iterator[None]:
    """Be the only broker on this data directory, as long as the block lasts.

    The kernel lets go when this process ends in whatever way. Raises DataDirInUse at once if
    somebody holds it, ServerFailed if it cannot be locked.
    """
    try:
        # Not inheritable (PEP 446): a server that outlives us must not keep the lock.
        lock = os.open(data_dir.root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unusable(data_dir.root, error) from error
    try:
        _lock(lock, data_dir)
        yield
    finally:
        os.close(lock)


def _lock(lock: int, data_dir: DataDir) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).strip()
        raise DataDirInUse(data_dir.root, int(holder) if holder.isdigit() else None) from None
    except OSError as error:
        raise unusable(data_dir.root, error) from error
