"""Flags made from the table of settings."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import Parameter

from pxbox.settings import OPTIONS, Option, load

EVERY_FLAG = tuple(option.name for option in OPTIONS if option.flag is not None)

Command = Callable[..., int]


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Have a command take these settings as flags, beside its own parameters.

    The command gets the whole Settings as its first argument: the flags given, over the
    environment, over the defaults. A wrong value raises SettingsError before it is called.
    """
    options = [option for option in OPTIONS if option.name in names]

    def decorate(run: Command) -> Command:
        def command(**arguments: Any) -> int:
            flags = {option.name: arguments.pop(option.name, None) for option in options}
            given = {name: value for name, value in flags.items() if value is not None}
            return run(load(given, os.environ), **arguments)

        own = list(inspect.signature(run, eval_str=True).parameters.values())[1:]
        signature = inspect.Signature([*own, *map(_parameter, options)])
        command.__doc__ = run.__doc__
        command.__signature__ = signature  # type: ignore[attr-defined]
        return command

    return decorate


def _parameter(option: Option) -> inspect.Parameter:
    """The flag of one row: a switch, or text that the table alone judges, as it judges the
    environment."""
    how = Parameter(
        name=option.flag,
        help=f"{option.help} [{option.env}]",
        metavar=option.metavar,
        negative=(),
        show_default=_default(option),
    )
    kind = str if option.metavar else bool
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, how],
    )


def _default(option: Option) -> Callable[[object], str] | bool:
    """What the help shows, in place of the parameter's own None."""
    return (lambda _: str(option.default)) if option.metavar and option.default else False
