"""The dashboard and the alert rules name metrics that there are, with labels that they have."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from osler.metrics import METRICS

DEPLOY = Path(__file__).parents[2] / "deploy"
SHOWN = {name: metric for metric in METRICS for name in metric.shown}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    dashboard = json.loads((DEPLOY / "grafana" / "osler.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_each_metric_that_is_named_exists_and_has_the_labels(place: str, expression: str) -> None:
    named = re.findall(r"\bosler_\w+", expression)
    assert named or place == "OslerDown"
    assert set(named) <= set(SHOWN)
    labels = {"le", *(label for name in named for label in SHOWN[name].labels)}
    used = re.findall(r"(\w+)=~?\"", expression) if named else []
    used += [label for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(", ")]
    assert set(used) <= labels, place


def test_each_metric_of_what_stands_is_on_the_dashboard_or_in_a_rule() -> None:
    named = {name for _, expression in expressions() for name in re.findall(r"\bosler_\w+", expression)}
    unseen = {m.name for m in METRICS if not named & set(m.shown)}
    assert unseen <= {
        *{"osler_received_bytes", "osler_deidentified", "osler_quarantined", "osler_http_requests"},
        *{"osler_studies_waiting", "osler_feedback_answers", "osler_edge_studies", "osler_edge_bytes"},
    }


def test_each_rule_says_how_long_how_urgent_and_what_to_do() -> None:
    for rule in rules():
        assert rule["for"]
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["action"].endswith(".")
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names) >= 15


def test_panels_do_not_overlap() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "osler.json").read_text(encoding="utf-8"))
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= own
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_prometheus_takes_the_rules(need: Callable[..., str]) -> None:
    command = [need("promtool"), "check", "rules", str(DEPLOY / "prometheus" / "rules.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout
