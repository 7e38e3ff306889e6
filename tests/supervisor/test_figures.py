"""The figures of several workers in one text: parsed again by Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from pxbox.observe import Metrics, Reading
from pxbox.supervisor.figures import family, merge


def figures(connections: float) -> str:
    metrics = Metrics()
    metrics.read_from(lambda: [Reading("pxbox_open", "Open.", "gauge", connections)])
    metrics.http('op {with} "odd" words', 0.02, 200)
    return metrics.render().decode()


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels["worker"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


def test_each_series_says_whose_it_is_and_nothing_is_summed() -> None:
    found = samples(merge({0: figures(3), 2: figures(5)}))
    assert found["pxbox_open", "0"] == 3
    assert found["pxbox_open", "2"] == 5
    assert found["pxbox_http_request_seconds_count", "2"] == 1


def test_each_family_stands_once_with_all_its_samples() -> None:
    lines = merge({1: figures(1), 0: figures(2)}).splitlines()
    assert lines.count("# TYPE pxbox_open gauge") == 1
    at = lines.index("# TYPE pxbox_open gauge")
    assert lines[at + 1 : at + 3] == ['pxbox_open{worker="0"} 2.0', 'pxbox_open{worker="1"} 1.0']
    heads = [line for line in lines if line.startswith("# HELP")]
    assert len(heads) == len(set(heads))


def test_other_labels_stay_with_their_odd_values() -> None:
    (found,) = [
        sample.labels
        for family in text_string_to_metric_families(merge({7: figures(1)}))
        for sample in family.samples
        if sample.name == "pxbox_http_request_seconds_sum"
    ]
    assert found == {"operation": 'op {with} "odd" words', "status": "200", "worker": "7"}


def test_the_supervisors_own_figures_are_read_too() -> None:
    text = merge({}) + family("pxbox_worker_up", "gauge", "Whether it answers.", {0: 1, 1: 0})
    assert samples(text) == {("pxbox_worker_up", "0"): 1, ("pxbox_worker_up", "1"): 0}
