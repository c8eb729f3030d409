"""The search of runs: MLflow's filters, orders and pages, on both databases as its own server answers."""

import pytest

from api.mlflow.protocol.errors import MlflowError
from api.mlflow.protocol.filters import Clause, parse_filter
from api.mlflow.runs.search import WORDS
from tests.api.mlflow.conftest import START, Mlflow

LOSSES = {"s0": 0.9, "s1": "NaN", "s2": 0.1, "S3": "Infinity"}


@pytest.fixture
def filled(any_mlflow: Mlflow) -> tuple[Mlflow, str]:
    """Five runs, the last without a loss and without a param; those of odd numbers have a tag with a blank."""
    number = any_mlflow.create_experiment()
    for at, name in enumerate((*LOSSES, "s4")):
        odd = [{"key": "odd key.x", "value": "1"}] if at % 2 else []
        tags = [{"key": "t", "value": f"Tag_{at}" if at % 2 else f"tAg%{at}"}, *odd]
        run = any_mlflow.create_run(number, name, start_time=START + 1000 * at, tags=tags)
        if name in LOSSES:
            any_mlflow.log_metric(run, "loss", LOSSES[name])
            any_mlflow.post("runs/log-parameter", run_id=run, key="lr", value=f"0.{at}")
            any_mlflow.post(
                "runs/update", run_id=run, status=("FINISHED", "FAILED")[at % 2], end_time=START + 9_000
            )
    return any_mlflow, number


# What MLflow 3.17's own server answers to the same filters on the same runs.
FOUND = {
    "metrics.loss < 1": "s0 s2",
    "metrics.loss != 0.9": "S3 s1 s2",
    "metric.loss >= 0.1 and params.lr != '0.2'": "S3 s0",
    "metrics.nothing > 1": "",
    "params.lr = '0.0'": "s0",
    "params.lr LIKE '0._'": "S3 s0 s1 s2",
    "param.lr ILIKE '%1'": "s1",
    "params.lr IS NULL": "s4",
    "parameters.lr IS NOT NULL AND metrics.loss<=0.1": "s2",
    "tags.t LIKE 'Tag%'": "S3 s1",
    "tags.t LIKE 'tAg%0'": "s0",
    "tags.t ILIKE 'TAG__'": "S3 s0 s1 s2 s4",
    'tags.t = "Tag_1"': "s1",
    "tags.`odd key.x` = '1'": "S3 s1",
    "tag.\"odd key.x\" = '1'": "S3 s1",
    "attributes.status = 'FINISHED'": "s0 s2",
    "status != 'FAILED'": "s0 s2 s4",
    "attributes.run_name LIKE 's%'": "s0 s1 s2 s4",
    "run_name ILIKE 's%'": "S3 s0 s1 s2 s4",
    "attributes.`run name` = 's0'": "s0",
    f"attributes.start_time > {START + 2500}": "S3 s4",
    f"Created < {START + 500}": "s0",
    f"end_time >= {START + 9000}": "S3 s0 s1 s2",
    "user_id = 'ana' and attributes.artifact_uri LIKE 'mlflow-artifacts:/1/%/artifacts'": "S3 s0 s1 s2 s4",
    "metrics.loss < 1 and params.lr = '0.0' and tags.t LIKE 'tAg%' and attributes.status = 'FINISHED'": "s0",
    "params.lr = 'it''s'": "",
}


def test_filters_find_what_mlflows_own_server_finds(filled: tuple[Mlflow, str]) -> None:
    mlflow, number = filled
    answers = {text: " ".join(sorted(mlflow.search(number, text))) for text in FOUND}
    assert answers == FOUND


def test_runs_are_found_by_id(filled: tuple[Mlflow, str]) -> None:
    mlflow, number = filled
    runs = mlflow.post("runs/search", experiment_ids=[number], filter="run_name LIKE 's_'")["runs"]
    ids = {run["info"]["run_name"]: run["info"]["run_id"] for run in runs}
    assert mlflow.search(number, f"run_id = '{ids['s2']}'") == ["s2"]
    assert sorted(mlflow.search(number, f"attributes.run_id IN ('{ids['s0']}', '{ids['s1']}')")) == ["s0", "s1"]
    assert len(mlflow.search(number, f"run_id NOT IN ('{ids['s0']}')")) == 4


# NaN and missing values come last, whichever way; equal ones in order of their start, the newest first.
ORDERS = {
    ("metrics.loss ASC",): "s2 s0 S3 s1 s4",
    ("metrics.`loss` DESC",): "S3 s0 s2 s1 s4",
    ("params.lr",): "s0 s1 s2 S3 s4",
    ("params.lr DESC",): "S3 s2 s1 s0 s4",
    ("attributes.start_time",): "s0 s1 s2 S3 s4",
    (): "s4 S3 s2 s1 s0",
    ("status", "run_name DESC"): "s1 S3 s2 s0 s4",
    ("end_time DESC", "Created ASC"): "s0 s1 s2 S3 s4",
}


def test_orders_are_mlflows(filled: tuple[Mlflow, str]) -> None:
    mlflow, number = filled
    assert {orders: " ".join(mlflow.search(number, "", *orders)) for orders in ORDERS} == ORDERS


def test_pages_follow_each_other(filled: tuple[Mlflow, str]) -> None:
    mlflow, number = filled
    asked = {"experiment_ids": [number], "max_results": 2, "order_by": ["start_time"]}
    pages, token = [], None
    while True:
        page = mlflow.post("runs/search", **asked, **({"page_token": token} if token else {}))
        pages.append([run["info"]["run_name"] for run in page["runs"]])
        token = page.get("next_page_token")
        if token is None:
            break
    assert pages == [["s0", "s1"], ["s2", "S3"], ["s4"]]


def test_only_the_named_experiments_are_searched(filled: tuple[Mlflow, str]) -> None:
    mlflow, _ = filled
    other = mlflow.create_experiment("other")
    mlflow.create_run(other, "o")
    assert mlflow.search(other) == ["o"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("params.lr = 0.001", "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 0.001"),
        ("metrics.loss > 'x'", "Expected numeric value type for metric. Found 'x'"),
        ("start_time > '5'", "Expected numeric value type for numeric attribute: start_time. Found '5'"),
        ("foo.bar = 'x'", "Invalid entity type 'foo'"),
        ("attributes.foo = 'x'", "Invalid attribute key 'foo' specified"),
        ("dataset.foo = 'x'", "Invalid dataset key 'foo' specified"),
        ("metrics.loss > 1 OR metrics.loss < 2", "Invalid clause(s) in filter string: 'OR'"),
        ("metrics.loss", "Invalid clause(s) in filter string: 'metrics.loss'"),
        ("metrics.loss >", "Invalid clause(s) in filter string"),
        ("metrics.loss > 1 and", "Invalid comparison clause"),
        ("params.lr > '1'", "Invalid comparator '>'"),
        ("metrics.loss LIKE '1'", "Invalid comparator 'LIKE'"),
        ("metrics.loss IS NULL", "only supported for tags and params"),
        ("run_id IN ()", "expected a non-empty list"),
        ("run_id IN ('a' 'b')", "expected a non-empty list"),
        ("status IN ('FINISHED')", "Only ['run_id'] attributes support"),
        ("params.a = 'b'; DROP TABLE jobs", "Invalid clause(s)"),
        ("(params.a = 'b')", "Invalid clause(s)"),
        ("params.a = 'b' " + "and params.a = 'b' " * 100, "more than 100 comparisons"),
    ],
)
def test_a_filter_that_means_nothing_says_why(text: str, says: str) -> None:
    with pytest.raises(MlflowError) as refused:
        parse_filter(text, WORDS)
    assert (refused.value.code, says in refused.value.message) == ("INVALID_PARAMETER_VALUE", True)


def test_names_may_hold_signs_without_quotes() -> None:
    parsed = parse_filter("metrics.loss/d-1 <= -1.5e3 AND tag.mlflow.parentRunId = 'x y'", WORDS)
    first = Clause("metric", "loss/d-1", "<=", -1500.0)
    assert parsed == [first, Clause("tag", "mlflow.parentRunId", "=", "x y")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"order_by": ["foo.x"]},
        {"order_by": ["metrics.loss UP"]},
        {"order_by": ["dataset.name"]},
        {"order_by": [1]},
        {"page_token": "!!"},
        {"page_token": "eyJvZmZzZXQiOiAtMX0="},
        {"max_results": 50_001},
        {"max_results": 0},
        {"run_view_type": "NOPE"},
        {"experiment_ids": ["x"]},
        {"experiment_ids": "1"},
    ],
)
def test_a_search_that_cannot_be_answered_is_refused(mlflow: Mlflow, wrong: dict[str, object]) -> None:
    asked = {"experiment_ids": ["0"], **wrong}
    assert mlflow.fails("POST", "runs/search", **asked)[:2] == (400, "INVALID_PARAMETER_VALUE")


def test_a_key_that_is_given_twice_to_sort_by_is_refused(mlflow: Mlflow) -> None:
    asked = {"experiment_ids": ["0"], "order_by": ["metrics.loss", "metrics.loss DESC"]}
    assert mlflow.fails("POST", "runs/search", **asked)[1] == "INTERNAL_ERROR"
