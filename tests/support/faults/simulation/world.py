"""Leases and events under one seed: the service's own queries, and a world around them that goes wrong.

Workers, their messages (lost, doubled, late, in another order), the service's stops and restarts, and a database
whose clock jumps, all in one thread: a seed is an interleaving, and comes again. Beside the service runs a model,
which says of every message what must become of it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from api.attempts import claims, leases
from api.attempts.lease_expiry import Cadence, Reaper
from api.attempts.schemas import ClaimRequest, FinishPost
from api.curves.queries import read_curves
from api.errors import AttemptFenced, JobStateConflict, SequenceConflict
from api.events import ingest
from api.events.log import list_batches
from api.events.parsing import PostedEvent
from api.jobs import queries as job_queries
from api.server.http.schemas import TERMINAL_STATES, Reason
from tests.support.faults.simulation.laboratory import Laboratory
from tests.support.faults.simulation.model import BUDGET, Broken, Model, Worker
from tests.support.services import add_job, make_checkpoint, make_metrics, number

LEASE, ROUND = 60.0, 10.0
CADENCE = Cadence(ROUND, LEASE, 30.0)
ITERATIONS, CHECKPOINT_EVERY = 8, 2
STEPS = 60
REASONS = {"trainer_killed": Reason(code="trainer_killed", message="Killed.")}
ROW = """SELECT j.state, j.attempt, a."end" FROM jobs j
    LEFT JOIN attempts a ON a.job_id = j.id AND a.attempt = j.attempt"""


class World:
    """One seed's world: one job, three workers, two replicas of the service."""

    def __init__(self, laboratory: Laboratory, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.laboratory = laboratory
        self.database = laboratory.database
        # By a clock that nobody can set; since when each replica could hear workers without a gap.
        self.now = 0.0
        self.listening_since = [0.0, 0.0]
        self.reapers = [self._make_reaper(), self._make_reaper()]
        self.workers = [Worker(index) for index in range(3)]
        self.messages: list[Callable[[], None]] = []
        self.model = Model()
        self.trace: list[str] = []
        with self.database.write() as session:
            self.job_id = add_job(session, attempts_allowed=BUDGET, iterations=ITERATIONS).id

    def run(self, steps: int) -> None:
        """Let so many things happen, then let all end well."""
        self._claim(self.workers[0], is_answer_lost=False)
        actions: list[tuple[float, Callable[[], None]]] = [
            (6, self._ask_to_claim), (14, self._train), (12, self._post), (5, self._heartbeat), (5, self._finish),
            (28, self._deliver), (8, self._look), (2, self._lose_message), (4, self._double_message),
            (2, self._kill_worker), (1, self._restart), (2, self._suspend), (3, self._jump), (5, self._forge),
            (0.4, self._cancel),
        ]  # fmt: skip
        weights, calls = zip(*actions, strict=True)
        for call in self.random.choices(calls, weights, k=steps):
            call()
            self._check()
        self._end_well()

    # What workers do.

    def _ask_to_claim(self) -> None:
        worker = self.random.choice(self.workers)
        if not worker.attempt:
            self.messages.append(lambda: self._claim(worker, is_answer_lost=self.random.random() < 0.1))

    def _choose_worker(self) -> Worker:
        """Return one that holds an attempt, or thinks so, if any does."""
        return self.random.choice([each for each in self.workers if each.attempt] or self.workers)

    def _train(self) -> None:
        worker = self._choose_worker()
        if not worker.attempt or worker.end:
            return
        if worker.iteration == ITERATIONS:
            worker.end = "succeeded"
        elif self.random.random() < 0.08:
            worker.end = self.random.choice(("trainer_killed", "preempted"))
        else:
            self._train_one(worker)

    def _train_one(self, worker: Worker) -> None:
        worker.iteration += 1
        self._record(worker, make_metrics(worker.iteration, loss_generator=worker.attempt + worker.iteration / 8))
        if worker.iteration % CHECKPOINT_EVERY == 0:
            content = f"{worker.attempt} {worker.iteration}".encode()
            with self.database.write() as session:
                self._record(worker, make_checkpoint(session, worker.iteration, content))

    def _record(self, worker: Worker, event: Any) -> None:
        worker.events += number([event], first=len(worker.events))

    def _post(self) -> None:
        worker = self._choose_worker()
        # From what was answered for, or from before: an answer may be on its way.
        first = self.random.randint(max(0, worker.acknowledged - 2), worker.acknowledged)
        batch, attempt = worker.events[first : self.random.randint(first, len(worker.events))], worker.attempt
        if batch:
            self.messages.append(lambda: self._ingest(worker, attempt, batch))

    def _heartbeat(self) -> None:
        worker = self._choose_worker()
        if attempt := worker.attempt:
            self.messages.append(lambda: self._renew(worker, attempt))

    def _finish(self) -> None:
        worker = self._choose_worker()
        if worker.attempt and worker.end and worker.acknowledged == len(worker.events):
            attempt, end, count = worker.attempt, worker.end, len(worker.events)
            self.messages.append(lambda: self._end_attempt(worker, attempt, end, count))

    def _kill_worker(self) -> None:
        self._choose_worker().stop()

    # What becomes of messages.

    def _deliver(self) -> None:
        if self.messages:
            self._take_message()()
        self._pass_time(self.random.choice((0.1, 1.0)))

    def _lose_message(self) -> None:
        if self.messages:
            self._take_message()

    def _double_message(self) -> None:
        if self.messages:
            self.messages.append(self.random.choice(self.messages))

    def _take_message(self) -> Callable[[], None]:
        return self.messages.pop(self.random.randrange(len(self.messages)))

    def _forge(self) -> None:
        """Post other bytes under a number that is stored."""
        attempt = self.model.attempt
        if stored := self.model.stored.get(attempt):
            forged = number([make_metrics(1, loss_generator=-1.0)], first=self.random.randrange(len(stored)))
            self._ingest(None, attempt, forged)

    # What the service does with them.

    def _claim(self, worker: Worker, *, is_answer_lost: bool) -> None:
        model = self.model
        with self.database.write() as session:
            claimed = claims.claim_job(session, ClaimRequest(worker=str(worker.name)), LEASE, lambda _: True)
        if claimed is None:
            return
        self._expect(model.state == "queued", f"claimed while {model.state}")
        model.claim(self.now)
        resumed = claimed.resume.iteration if claimed.resume else 0
        came, wanted = (claimed.job.attempt, resumed), (model.attempt, model.resumed_from)
        self._expect(came == wanted, f"attempt and checkpoint are {came}, not {wanted}")
        self._say(f"worker {worker.name} claims attempt {model.attempt} from {resumed}")
        self._check_curve()
        # Of a lost answer, and of one that came twice, the worker knows nothing.
        if not worker.attempt and not is_answer_lost:
            worker.begin(model.attempt, resumed)

    def _ingest(self, worker: Worker | None, attempt: int, batch: list[PostedEvent]) -> None:
        wanted = self.model.judge_post(attempt, batch)
        came: type[Exception] | None = None
        try:
            with self.database.write() as session:
                ingest.insert_events(session, self.job_id, attempt, batch, LEASE)
        except (AttemptFenced, SequenceConflict) as error:
            came = type(error)
        self._say(f"events {batch[0].seq} to {batch[-1].seq} of attempt {attempt}: {came}")
        self._expect(came == wanted, f"a post met {came}, not {wanted}")
        if came is None:
            self.model.store(attempt, batch, self.now)
        if worker is None or worker.attempt != attempt:
            return
        if came is AttemptFenced:
            worker.stop()
        elif came is None and self.random.random() < 0.8:
            worker.acknowledged = max(worker.acknowledged, batch[-1].seq + 1)

    def _renew(self, worker: Worker, attempt: int) -> None:
        is_taken = self._is_taken(lambda session: leases.renew_lease(session, self.job_id, attempt, LEASE))
        self._say(f"heartbeat of attempt {attempt}: {is_taken}")
        self._expect(
            is_taken == self.model.is_live(attempt), f"a heartbeat of attempt {attempt} was taken: {is_taken}"
        )
        if is_taken:
            self.model.heard_at = self.now
        elif worker.attempt == attempt:
            worker.stop()

    def _end_attempt(self, worker: Worker, attempt: int, end: str, count: int) -> None:
        was_live = self.model.is_live(attempt)
        name: Any = "failed" if end in REASONS else end
        post = FinishPost(end=name, reason=REASONS.get(end), events_count=count)
        is_taken = self._is_taken(
            lambda session: claims.finish_attempt(session, self.job_id, attempt, post, LEASE)
        )
        self._say(f"attempt {attempt} ends as {end}: {is_taken}")
        if was_live:
            self._expect(is_taken, "the end of the live attempt was refused")
            self.model.end_attempt(end)
        if worker.attempt == attempt and self.random.random() < 0.9:
            worker.stop()

    def _is_taken(self, write: Callable[[Any], object]) -> bool:
        try:
            with self.database.write() as session:
                write(session)
        except AttemptFenced:
            return False
        return True

    def _cancel(self) -> None:
        try:
            with self.database.write() as session:
                job_queries.cancel_job(session, self.job_id)
            is_taken = True
        except JobStateConflict:
            is_taken = False
        self._say(f"cancel: {is_taken}")
        wanted = self.model.state not in ("succeeded", "failed")
        self._expect(is_taken == wanted, f"a job that is {self.model.state} was cancelled: {is_taken}")
        if is_taken:
            self.model.cancel()

    # Time, and the reaper.

    def _pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.laboratory.wall += timedelta(seconds=seconds)

    def _jump(self) -> None:
        self.laboratory.wall += timedelta(seconds=self.random.choice((-86_400, -90, 90, 86_400)))
        self._say(f"the clock jumps to {self.laboratory.wall}")

    def _make_reaper(self) -> Reaper:
        return Reaper(self.database, CADENCE, lambda: None, clock=lambda: self.now)

    def _restart(self) -> None:
        """One replica is away for some time, and the other one has it all meanwhile."""
        replica = self.random.randrange(2)
        self._look(self.random.randrange(12), replicas=[1 - replica])
        self.listening_since[replica] = self.now
        self.reapers[replica] = self._make_reaper()
        self._say(f"replica {replica} restarts")

    def _suspend(self) -> None:
        """The service's machines stand still."""
        self._pass_time(self.random.uniform(0.7, 3) * LEASE)
        self.listening_since = [self.now, self.now]
        self._say("the service goes on after a gap")
        self._look(1)

    def _look(self, rounds: int | None = None, replicas: Sequence[int] = (0, 1)) -> None:
        for _ in range(self.random.choice((1, 1, 3, 7)) if rounds is None else rounds):
            for replica in replicas:
                with self._interleaved():
                    self.reapers[replica].run_once()
                self._record_reaped(replica)
            self._pass_time(ROUND)

    @contextmanager
    def _interleaved(self) -> Iterator[None]:
        """Deliver a message between the reaper's look and its first deed."""
        write = self.database.write

        @contextmanager
        def write_late() -> Iterator[Any]:
            self.database.write = write  # type: ignore[method-assign]
            if self.messages and self.random.random() < 0.5:
                self._take_message()()
            with write() as session:
                yield session

        self.database.write = write_late  # type: ignore[method-assign]
        try:
            yield
        finally:
            self.database.write = write  # type: ignore[method-assign]

    def _record_reaped(self, replica: int) -> None:
        [(state, attempt, end)] = self.laboratory.read(ROW)
        if not self.model.is_live(attempt) or end != "lost":
            return
        listened = self.now - max(self.model.heard_at, self.listening_since[replica])
        self._say(f"replica {replica} takes attempt {attempt}; the job is {state}")
        self._expect(listened >= LEASE, f"reaped after listening for {listened:.0f} s")
        self.model.end_attempt("lost")

    # What has to hold.

    def _check(self) -> None:
        [(state, attempt, _)] = self.laboratory.read(ROW)
        wanted = (self.model.state, self.model.attempt)
        self._expect((state, attempt) == wanted, f"the job is {state}, {attempt}, not {wanted}")
        live = [number for (number,) in self.laboratory.read('SELECT attempt FROM attempts WHERE "end" IS NULL')]
        self._expect(live == ([attempt] if state == "running" else []), f"live attempts: {live} of {attempt}")

    def _end_well(self) -> None:
        """Let every worker die and one come that works: the job must end, and have one whole record."""
        self.messages.clear()
        for _ in range(2 * BUDGET + 2):
            # A dead worker's job is free after a lease, and its delay is over after a minute.
            self._look(int(LEASE / ROUND) + 2)
            self._check()
            self._expect(self.model.state != "running", "the job of a dead worker was not taken")
            if self.model.state in TERMINAL_STATES:
                break
            self._work_through(Worker(3))
        self._expect(self.model.state in TERMINAL_STATES, f"the job is still {self.model.state}")
        self._check_curve()
        self._check_log()

    def _work_through(self, worker: Worker) -> None:
        self._claim(worker, is_answer_lost=False)
        self._expect(worker.attempt > 0, "a queued job could not be claimed")
        while worker.iteration < ITERATIONS:
            self._train_one(worker)
        if worker.events:
            self._ingest(None, worker.attempt, worker.events)
        self._end_attempt(worker, worker.attempt, "succeeded", len(worker.events))

    def _check_curve(self) -> None:
        with self.database.read() as session:
            curves = read_curves(session, self.job_id).curves
        points = dict(zip(curves[0].iterations, curves[0].values, strict=True)) if curves else {}
        self._expect(points == self.model.points, f"the curve is {points}, not {self.model.points}")
        if self.model.state == "succeeded":
            self._expect(list(points) == list(range(1, ITERATIONS + 1)), f"the curve has a gap: {list(points)}")

    def _check_log(self) -> None:
        with self.database.read() as session:
            batches = [batch for batch in list_batches(session, self.job_id, 0, 1000) if batch.attempt]
        seqs = [(batch.attempt, item["seq"]) for batch in batches for item in batch.events if "seq" in item]
        self._expect(len(seqs) == len(set(seqs)), "an event was stored twice")

    def _say(self, line: str) -> None:
        self.trace.append(f"{self.now:8.1f} {line}")

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise Broken("\n".join([f"seed {self.seed}: {what}", *self.trace[-30:]]))


def run_seed(laboratory: Laboratory, seed: int) -> World:
    """Run one seed's world from beginning to end; raises Broken."""
    laboratory.empty()
    world = World(laboratory, seed)
    try:
        world.run(STEPS)
    except IntegrityError as error:
        # The tables' own constraints are the last guard.
        raise Broken(f"seed {seed}: {error.orig}") from error
    return world
