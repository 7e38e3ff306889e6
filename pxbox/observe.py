"""What can be seen of a running broker: its log and its metrics.

Secrets, tokens and payloads go into neither (X5): log what is named here, never what was sent.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from structlog.typing import EventDict

Log = structlog.stdlib.BoundLogger

_OURS = frozenset({"pxbox", "actors", "trio"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def said(error: BaseException) -> str:
    """What an error says, as far as it can be logged (X5).

    The words of a driver or a library may quote what was sent or kept; those of PxBox and of the
    system do not.
    """
    kind = type(error)
    if kind.__module__.partition(".")[0] in _OURS or isinstance(error, OSError):
        return f"{kind.__qualname__}: {error}"
    state = getattr(error, "sqlstate", None)
    return kind.__qualname__ + (f": SQLSTATE {state}" if state else "")


def _render_fault(_: object, __: str, event: EventDict) -> EventDict:
    """structlog's `format_exc_info`, by `said`."""
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_told(error))
    return event


def _told(error: BaseException) -> Iterator[str]:
    """A traceback, as Python prints it but for the words, with the causes first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _told(cause)
        yield "which led to:"
    yield "Traceback (most recent call last):"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    yield said(error)
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from (f"  | {line}" for told in _told(one) for line in told.splitlines())


def configure_log(level: str, format: str) -> Log:
    """Send the log to standard error, as text or as one JSON object a line."""
    as_text = format == "text" or (format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render_fault,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    log: Log = structlog.get_logger()
    return log


def name_worker(number: int) -> None:
    """Have every line of this process's log say which worker it is."""
    structlog.contextvars.bind_contextvars(worker=number)


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure at one moment. `kind` is gauge or counter; `labels` name its series."""

    name: str
    help: str
    kind: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


def histogram(name: str, help: str) -> Histogram:
    """How long something takes, to be shown by `Metrics.show`."""
    return Histogram(name, help, buckets=_BUCKETS, registry=None)


class Metrics:
    """The figures of one broker, read when they are asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            "pxbox_http_request_seconds",
            "Time from a request's body to its reply, by operation and status.",
            ["operation", "status"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._commands = Histogram(
            "pxbox_ws_command_seconds",
            "Time from a WebSocket command to its reply, by operation and outcome.",
            ["operation", "code"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

        self._series: dict[tuple[str, str], Histogram] = {}

    def http(self, operation: str, seconds: float, status: int) -> None:
        self._latency.labels(operation, str(status)).observe(seconds)

    def command(self, operation: str, seconds: float, code: str) -> None:
        series = self._series.get((operation, code))
        if series is None:
            series = self._series[operation, code] = self._commands.labels(operation, code)
        series.observe(seconds)

    def show(self, histogram: Histogram) -> None:
        self._registry.register(histogram)

    def read_from(self, readings: Callable[[], Iterable[Reading]]) -> None:
        """Include what `readings` gives at the time of each rendering."""
        self._registry.register(_Collector(readings))

    def render(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)


class _Collector:
    def __init__(self, readings: Callable[[], Iterable[Reading]]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for reading in self._readings():
            names = [name for name, _ in reading.labels]
            family = families.get(reading.name)
            if family is None:
                make = CounterMetricFamily if reading.kind == "counter" else GaugeMetricFamily
                family = families[reading.name] = make(reading.name, reading.help, labels=names)
            family.add_metric([value for _, value in reading.labels], reading.value)
        yield from families.values()
