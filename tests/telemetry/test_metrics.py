"""Metrics: bounded labels, names that tools accept, percentiles that are near the truth."""

from __future__ import annotations

import re
from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.parser import text_string_to_metric_families

from shipway.telemetry import metrics
from shipway.telemetry.metrics import SECONDS, Family, catalogue, exposition
from shipway.telemetry.requests import RequestLog, percentile


def test_every_metric_has_a_name_a_unit_and_a_meaning_that_tools_accept():
    rows = catalogue()
    assert len(rows) > 15
    assert len({row["name"] for row in rows}) == len(rows)
    for row in rows:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", row["name"])
        assert row["meaning"]
        assert (row["type"] == "counter") == row["name"].endswith("_total"), row
        assert (row["type"] != "histogram") or row["name"].endswith("_seconds")


def test_the_exposition_can_be_read_and_tells_what_was_counted():
    metrics.RUNS_ENDED.of("succeeded").inc(2)
    text = exposition().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {"shipway_runs_ended", "shipway_queue_depth_runs"} <= families.keys()
    (sample,) = [
        one
        for one in families["shipway_runs_ended"].samples
        if one.labels == {"status": "succeeded"} and one.name.endswith("_total")
    ]
    assert sample.value >= 2


def test_labels_without_end_are_counted_together():
    counter = Family(Counter("x", "x", ["route"], registry=CollectorRegistry()), limit=3)
    for number in range(10_000):
        counter.of(f"/{number}").inc()
    assert counter.of("anything else") is counter.of(metrics.OTHER)
    (described,) = counter.metric.collect()
    values = {one.labels["route"]: one.value for one in described.samples if one.name == "x_total"}
    assert values == {"/0": 1, "/1": 1, "/2": 1, "other": 9997}


def test_a_gauge_forgets_what_is_gone():
    gauge = Family(Gauge("y", "y", ["pool"], registry=CollectorRegistry()))
    gauge.keep_only({("a",): 1.0, ("b",): 2.0})
    gauge.keep_only({("b",): 3.0})
    (described,) = gauge.metric.collect()
    assert {one.labels["pool"]: one.value for one in described.samples} == {"b": 3.0}


@given(st.lists(st.floats(0, 9.99), min_size=1, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values, share):
    counts = [0] * (len(SECONDS) + 1)
    for value in values:
        counts[bisect_left(SECONDS, value)] += 1
    ordered = sorted(values)
    true = ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
    bucket = bisect_left(SECONDS, true)
    found = percentile(SECONDS, counts, share)
    assert (SECONDS[bucket - 1] if bucket else 0.0) <= found <= SECONDS[bucket]


def test_nothing_has_no_percentile_and_the_slowest_is_told_as_the_last_bound():
    assert percentile(SECONDS, [0] * 15, 0.5) is None
    assert percentile(SECONDS, [0] * 14 + [3], 0.5) == SECONDS[-1]


def test_the_summary_is_that_of_the_last_minute():
    now = 1000.0
    log = RequestLog(lambda: now)
    for _ in range(95):
        log.observe("GET", "/runs/{id}", 200, 0.004)
    for _ in range(5):
        log.observe("GET", "/runs/{id}", 503, 2.0)
    now += 10
    told = log.summary()
    assert (told["window_s"], told["per_second"], told["errors_per_second"]) == (10, 10.0, 0.5)
    assert told["p50_ms"] < 5
    assert 1000 < told["p99_ms"] < 2500
    now += 70
    assert log.summary() | {"active": 0} == {
        "window_s": 60,
        "per_second": 0.0,
        "errors_per_second": 0.0,
        "active": 0,
        "p50_ms": None,
        "p95_ms": None,
        "p99_ms": None,
    }


def test_requests_are_told_by_route_template():
    RequestLog().observe("GET", "/told/{id}", 200, 0.01)
    families = {one.name: one for one in text_string_to_metric_families(exposition().decode())}
    (count,) = [
        sample
        for sample in families["http_server_request_duration_seconds"].samples
        if sample.name.endswith("_count") and sample.labels["http_route"] == "/told/{id}"
    ]
    assert count.labels["http_response_status_code"] == "200"
    assert count.value == 1
