"""The figures of several workers as one text for Prometheus, each series labelled by worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Family:
    head: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)


def merge(texts: Mapping[int, str]) -> str:
    """Put the texts of all workers, by their numbers, together.

    Each family stands once, as the text format wants it, with every worker's samples under it.
    Source: Prometheus, "Exposition formats", text-based.
    """
    families: dict[str, _Family] = {}
    for worker, text in sorted(texts.items()):
        family = _Family()
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                family = families.setdefault(name, _Family())
                if not family.head:
                    family.head.append(line)
            elif line.startswith("# TYPE "):
                if len(family.head) < 2:
                    family.head.append(line)
            elif line:
                family.samples.append(_labelled(line, worker))
    return _text(families.values())


def _labelled(sample: str, worker: int) -> str:
    label = f'worker="{worker}"'
    # A name holds neither; what stands in the values of labels comes later.
    brace, space = sample.find("{"), sample.index(" ")
    if 0 <= brace < space:
        return f"{sample[:brace]}{{{label},{sample[brace + 1 :]}"
    return f"{sample[:space]}{{{label}}}{sample[space:]}"


def family(name: str, kind: str, help: str, values: Mapping[int, float]) -> str:
    """A family of the supervisor's own, one value per worker."""
    lines = [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]
    lines += [f'{name}{{worker="{worker}"}} {value:g}' for worker, value in values.items()]
    return "\n".join(lines) + "\n"


def _text(families: Iterable[_Family]) -> str:
    lines = [line for family in families for line in (*family.head, *family.samples)]
    return "".join(f"{line}\n" for line in lines)
