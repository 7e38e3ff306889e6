"""Who the servers run as: PostgreSQL refuses root, and Valkey needs no more than it.

As a normal user: as that user. As root: as a plain user of a user namespace of its own, with all
files still owned by root and no permission opened; where the system forbids that (containers,
mostly), as an unprivileged user that exists, with files of that user's own in the data directory.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from pxbox.embedded.data_dir import DataDir
from pxbox.embedded.errors import ServerFailed

# In this order: one made for the purpose, one made for the program, the one that owns nothing.
UNPRIVILEGED = ("pxbox", "postgres", "nobody")
PROBE_SECONDS = 5.0

# All that the servers are told of our environment: it may hold secrets, and PG* settings.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Account:
    """How a program is run without root's rights, and who has to own its files.

    `prefix` goes before the command; `user` is the account it changes to, None for no change.
    """

    prefix: tuple[str, ...] = ()
    user: pwd.struct_passwd | None = None

    @property
    def owner(self) -> int:
        """The uid that owns the files, as it is seen from here."""
        return os.geteuid() if self.user is None else self.user.pw_uid

    def process_options(self) -> dict[str, Any]:
        """Return the arguments of `subprocess.Popen` that all its processes are started with.

        A session of their own keeps the terminal's Ctrl-C from them.
        """
        options = {"env": environment(), "start_new_session": True, "umask": 0o077}
        if self.user is None:
            return options
        user, group = self.user.pw_uid, self.user.pw_gid
        return {**options, "user": user, "group": group, "extra_groups": []}

    async def run(
        self, command: Sequence[str | Path], seconds: float, stdin: str = ""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, both its outputs together in `stdout`.

        Raises trio.TooSlowError past so many seconds, the command then being ended, and OSError
        if it cannot be started.
        """
        with trio.fail_after(seconds):
            return await trio.run_process(
                [*self.prefix, *map(str, command)],
                stdin=stdin.encode(),
                check=False,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                cwd="/",
                **self.process_options(),
            )

    def give(self, path: Path) -> None:
        """Make this account the owner of a directory with all in it, unless it is already."""
        if path.lstat().st_uid == self.owner:
            return
        group = os.getegid() if self.user is None else self.user.pw_gid
        for folder, _, files in os.walk(path):
            for found in (Path(folder), *(Path(folder, file) for file in files)):
                os.chown(found, self.owner, group, follow_symlinks=False)

    def let_in(self, root: Path) -> None:
        """Let this account pass through the data directory, without letting it list that."""
        if self.user is not None and root.stat().st_uid != self.owner:
            os.chown(root, -1, self.user.pw_gid)
            root.chmod(root.stat().st_mode | 0o010)


def environment() -> dict[str, str]:
    """Return what the servers and their tools see of the environment."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, "LC_ALL": "C", "TZ": "UTC"}


async def choose_account(data_dir: DataDir, programs: tuple[Path, ...]) -> Account:
    """Return the account that the servers can run as, having tried it.

    `programs` are what it has to be able to execute. Raises ServerFailed, with the reason for
    each way that was tried, if this process is root and there is none.
    """
    if os.geteuid() != 0:
        return Account()
    refused = []
    for name, account in _candidates():
        reason = await why_not(account, data_dir, programs)
        if reason is None:
            return account
        refused.append(f"{name}: {reason}")
    raise ServerFailed(
        "PostgreSQL refuses to run as root, and nothing else was found that it could run as"
        f" ({'; '.join(refused) or 'the system has no other user'}).",
        advice="Run the broker as a normal user; or allow user namespaces; or give a --data-dir, "
        f"and an installation, which one of the users {', '.join(UNPRIVILEGED)} can reach.",
    )


def _candidates() -> Iterator[tuple[str, Account]]:
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    unshare = shutil.which("unshare")
    # initdb looks its uid up in the system's users, so the namespace maps to one that exists.
    if unshare is not None and users:
        inside = min(users, key=lambda user: (user.pw_name not in UNPRIVILEGED, user.pw_uid))
        yield "a user namespace", namespace(unshare, inside)
    by_name = {user.pw_name: user for user in users}
    for name in UNPRIVILEGED:
        if name in by_name:
            yield f"the user {name}", Account(user=by_name[name])


def namespace(unshare: str, inside: pwd.struct_passwd) -> Account:
    """Return the account that is `inside` in a user namespace, and the caller outside of it."""
    user, group = f"--map-user={inside.pw_uid}", f"--map-group={inside.pw_gid}"
    return Account(prefix=(unshare, "--user", user, group))


async def why_not(account: Account, data_dir: DataDir, programs: tuple[Path, ...]) -> str | None:
    """Say what keeps an account from running the programs on the data directory, None if nothing.

    The parents of the data directory are taken as they are; whether the account may pass through
    the directory itself is ours to arrange (`Account.let_in`).
    """
    # A directory can be passed exactly when its own entry `.` can be looked up.
    script = (
        'test -d "$1/." || { echo "$1 is out of its reach"; exit 1; }; shift; '
        'for x; do test -x "$x" || { echo "$x is out of its reach"; exit 1; }; done'
    )
    reached = data_dir.root if account.user is None else data_dir.root.parent
    command: list[str | Path] = ["/bin/sh", "-c", script, "sh", reached, *programs]
    try:
        done = await account.run(command, PROBE_SECONDS)
    except (OSError, trio.TooSlowError) as error:
        return str(error) or f"no answer within {PROBE_SECONDS:g} s"
    if done.returncode == 0:
        return None
    return done.stdout.decode(errors="replace").strip() or f"exit status {done.returncode}"
