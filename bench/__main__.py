"""`python -m bench NAME`; see README.md in this folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import trio

from bench import commit, fanout, flows, idle, installed, lifecycle, recovery, replay, slow
from bench.processes import RunFailed

BENCHES: Final = {
    "commit": commit,
    "fanout": fanout,
    "flows": flows,
    "idle": idle,
    "lifecycle": lifecycle,
    "recovery": recovery,
    "replay": replay,
    "slow": slow,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="bench", required=True)
    for name, bench in BENCHES.items():
        command = commands.add_parser(name, help=bench.__doc__, description=bench.__doc__)
        command.add_argument("--json", action="store_true", help="print JSON, for programs")
        command.add_argument(
            "--directory", type=Path, help="where the database is made, and removed afterwards"
        )
        bench.add_arguments(command)
    commands.add_parser("peers", help=installed.__doc__, description=installed.__doc__)
    args = parser.parse_args()
    try:
        if args.bench == "peers":
            installed.install()
            return
        trio.run(BENCHES[args.bench].run, args)
    except RunFailed as failed:
        raise SystemExit(f"python -m bench: {failed}") from None


if __name__ == "__main__":
    main()
