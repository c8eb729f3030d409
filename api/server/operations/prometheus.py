"""Prometheus metrics at /metrics: counters of this process, and gauges read from the database on each scrape."""

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.attempts import queries as attempt_queries
from api.events.findings import queries as finding_queries
from api.jobs import queries as job_queries
from api.server.database.engine import Database
from api.workers import queries as worker_queries
from api.workers import queue
from api.workers.schemas import WorkerRead

_LATENCIES = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# At most so many rules: workers of other versions, and loops of others, have their own.
_MAX_RULES = 50
# At most this many commits get their own series.
_MAX_COMMITS = 20
_DEMAND = ("waiting", "running")
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class PrometheusMetrics:
    """The metrics of one process; gauges from the database are the same in each replica."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(DatabaseCollector(database))
        self.requests = Histogram(
            "ganvas_request_seconds",
            "Time until an answer's first byte, by route.",
            ["method", "route", "status"],
            buckets=_LATENCIES,
            registry=self._registry,
        )
        self.events = Counter("ganvas_events", "Events that trainers reported.", registry=self._registry)
        self.points = Counter("ganvas_points", "Points of curves that trainers reported.", registry=self._registry)
        self.findings = RuleCounter(self._registry)
        self.artifact_bytes = Counter("ganvas_artifact_bytes", "Bytes of stored files.", registry=self._registry)

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class RuleCounter:
    """Counts findings by rule; those of rules beyond the first few are counted together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "ganvas_findings", "Faults that rules found in runs, by rule.", ["rule"], registry=registry
        )
        self._known: set[str] = set()

    def count(self, rules: Iterable[str]) -> None:
        """Count one finding of each of these rules."""
        for rule in rules:
            if len(self._known) < _MAX_RULES:
                self._known.add(rule)
            self._counter.labels(rule if rule in self._known else "other").inc()


class DatabaseCollector(Collector):
    """Gauges of queue, attempts and workers, read from the database on each scrape."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the database must not be read while the service is built."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read all gauges in one transaction."""
        with self._database.read() as session:
            states = job_queries.count_states(session)
            ends = attempt_queries.count_attempt_ends(session)
            workers = worker_queries.list_workers(session)
            demand = queue.list_demand(session)
            lasting = finding_queries.count_lasting(session)
        jobs = GaugeMetricFamily(
            "ganvas_jobs", "Jobs in each state; queued ones wait for a worker.", labels=["state"]
        )
        for state in ("queued", "running", "succeeded", "failed", "cancelled"):
            jobs.add_metric([state], states.get(state, 0))
        yield jobs
        attempts = GaugeMetricFamily("ganvas_attempts", "Attempts by how they ended.", labels=["end"])
        for end in ("succeeded", "failed", "cancelled", "preempted", "lost"):
            attempts.add_metric([end], ends.get(end, 0))
        yield attempts
        yield _describe_demand(demand)
        yield _describe_findings(lasting)
        yield from _describe_workers([worker for worker in workers if worker.is_alive])


class PrometheusMiddleware:
    """ASGI middleware that measures the time until each answer begins."""

    def __init__(self, app: ASGIApp, metrics: PrometheusMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and observe its latency."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = perf_counter()

        async def send_observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The route's pattern: a path contains ids, and each would become a series.
                route = getattr(scope.get("route"), "path", "none")
                # Unknown methods are counted together, for the same reason.
                method = scope["method"] if scope["method"] in _METHODS else "other"
                labels = (method, route, str(message["status"]))
                self._metrics.requests.labels(*labels).observe(perf_counter() - begin)
            await send(message)

        await self._app(scope, receive, send_observed)


def _describe_demand(demand: Sequence[queue.Demand]) -> Metric:
    """Return the demand for workers; commits beyond the busiest few are counted together."""
    sizes: Counts[str] = Counts()
    for part in demand:
        sizes[part.commit] += part.wanted
    named = {"", *(commit for commit, _ in sizes.most_common(_MAX_COMMITS))}
    counts: Counts[tuple[str, str, str]] = Counts(
        {(needs, "", state): 0 for needs in queue.NEEDS for state in _DEMAND}
    )
    for part in demand:
        commit = part.commit if part.commit in named else "other"
        counts[part.needs, commit, "waiting"] += part.waiting
        counts[part.needs, commit, "running"] += part.running
    metric = GaugeMetricFamily(
        "ganvas_queue_jobs",
        "Jobs that can be claimed now, or run, by what they need and the commit that they are pinned to.",
        labels=["needs", "commit", "state"],
    )
    for labels, count in counts.items():
        metric.add_metric(labels, count)
    return metric


def _describe_findings(lasting: Sequence[tuple[str, str, int]]) -> Metric:
    """Return the faults of running jobs; those of rules beyond the most frequent are counted together."""
    named = set(list(dict.fromkeys(rule for rule, _, _ in lasting))[:_MAX_RULES])
    counts: Counts[tuple[str, str]] = Counts()
    for rule, severity, count in lasting:
        counts[rule if rule in named else "other", severity] += count
    metric = GaugeMetricFamily(
        "ganvas_active_findings",
        "Faults that last in running jobs, by rule and severity.",
        labels=["rule", "severity"],
    )
    for labels, count in counts.items():
        metric.add_metric(labels, count)
    return metric


def _describe_workers(workers: list[WorkerRead]) -> Iterator[Metric]:
    alive = GaugeMetricFamily("ganvas_workers", "Workers that are alive, by what they do.", labels=["doing"])
    busy = sum(worker.job_id is not None for worker in workers)
    alive.add_metric(["training"], busy)
    alive.add_metric(["idle"], len(workers) - busy)
    yield alive
    labels = ["worker", "gpu", "name"]
    used = GaugeMetricFamily("ganvas_gpu_memory_used_bytes", "Memory in use on a worker's card.", labels=labels)
    total = GaugeMetricFamily("ganvas_gpu_memory_bytes", "Memory of a worker's card.", labels=labels)
    load = GaugeMetricFamily("ganvas_gpu_utilisation", "How busy a worker's card is, 0 to 1.", labels=labels)
    for worker in workers:
        for gpu in worker.gpus:
            names = [worker.name, str(gpu.index), gpu.name]
            used.add_metric(names, gpu.memory_used)
            total.add_metric(names, gpu.memory_total)
            if gpu.utilisation is not None:
                load.add_metric(names, gpu.utilisation)
    yield from (used, total, load)
