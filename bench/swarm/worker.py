"""A worker that trains nothing: it claims, reports and finishes as a real one does, at a cadence that is set."""

import asyncio
import hashlib
import json
import os
import random
import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.swarm.wire import Wire, WireError

GRID_BYTES = 76_000
VALUES = 5
SPEC = {
    "name": "swarm",
    "dataset": "digits",
    "generator": {"layers": [{"layer": "dense", "size": 64}, {"layer": "reshape", "shape": [1, 8, 8]}]},
    "discriminator": {"layers": ["flatten", {"layer": "dense", "size": 1}]},
    "iterations": 1_000_000,
}


@dataclass
class Cadence:
    """The work of one worker, in seconds and counts; `speed` divides the seconds of batches and grids."""

    speed: float = 1.0
    batch_seconds: float = 2.0
    events_a_batch: int = 10
    grid_seconds: float = 30.0
    describe_seconds: float = 15.0
    batches_a_job: int = 60


@dataclass
class Lag:
    """The delay of batches against the clock; it grows when a swarm cannot keep its cadence."""

    due: int = 0
    late: int = 0


class FakeWorker:
    """One worker, on one connection. Its numbers are random, its requests a reporter's."""

    lag = Lag()

    def __init__(self, number: int, wire: Wire, cadence: Cadence, user_token: str) -> None:
        self._name = f"swarm-{number}"
        self._wire = wire
        self._cadence = cadence
        self._user_token = user_token
        self._random = random.Random(number)
        self._begin(None)

    @property
    def has_job(self) -> bool:
        """True while it holds a job."""
        return self._claim is not None

    def _begin(self, claim: dict[str, object] | None) -> None:
        self._claim = claim
        self._path = f"/jobs/{claim['job_id']}/attempts/{claim['attempt']}" if claim else ""
        self._token = str(claim["token"]) if claim else ""
        self._seq = self._iteration = self._batches = 0

    async def run(self) -> None:
        """Work until cancelled; a broken connection or a refusal is noted, and the next step tried."""
        # They were not all started in the same moment.
        await asyncio.sleep(self._random.uniform(0, self._cadence.batch_seconds / self._cadence.speed))
        now = time.monotonic()
        grid_at = now + self._random.uniform(0, self._cadence.grid_seconds)
        describe_at = now + self._random.uniform(0, self._cadence.describe_seconds)
        while True:
            # Trainers are never in step with each other for long.
            uneven = self._random.uniform(0.8, 1.2)
            due = time.monotonic() + uneven * self._cadence.batch_seconds / self._cadence.speed
            try:
                await self._step()
                if self._claim and time.monotonic() >= grid_at:
                    grid_at = time.monotonic() + self._cadence.grid_seconds / self._cadence.speed
                    await self._save_grid()
                if time.monotonic() >= describe_at:
                    describe_at = time.monotonic() + self._cadence.describe_seconds
                    await self._describe()
            except WireError:
                await asyncio.sleep(self._random.uniform(0.25, 0.5))
            self.lag.due += 1
            self.lag.late += time.monotonic() > due
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _step(self) -> None:
        if self._claim is None:
            await self._claim_job()
        elif self._batches >= self._cadence.batches_a_job:
            await self._finish()
        else:
            self._batches += 1
            await self._post([self._metrics() for _ in range(self._cadence.events_a_batch)])

    async def _claim_job(self) -> None:
        body = json.dumps({"worker": self._name, "devices": ["cpu"], "provenance": {"commit": "0" * 40}}).encode()
        status, content = await self._wire.ask("claim", "POST", "/workers/claim", self._user_token, body)
        if status == 200:
            self._begin(json.loads(content))
        elif status == 204:
            await self._submit()

    async def _submit(self) -> None:
        await self._wire.ask("submit", "POST", "/jobs", self._user_token, json.dumps(SPEC).encode())

    async def _finish(self) -> None:
        body = json.dumps({"end": "succeeded", "events_count": self._seq}).encode()
        status, _ = await self._wire.ask("finish", "POST", f"{self._path}/finish", self._token, body)
        if status == 200:
            self._begin(None)
            await self._submit()

    async def _describe(self) -> None:
        body = json.dumps({"name": self._name, "device": "none", "commit": "0" * 40}).encode()
        await self._wire.ask("describe", "POST", "/workers/heartbeat", self._user_token, body)

    async def _save_grid(self) -> None:
        content = struct.pack(">8sI4sIIBBBBBI", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 160, 160, 8, 2, 0, 0, 0, 0)
        content += os.urandom(GRID_BYTES)
        sha256 = hashlib.sha256(content).hexdigest()
        await self._wire.ask("grid", "PUT", f"/artifacts/{sha256}", self._token, content, "image/png")
        file = f'{{"path":"{self._seq}.png","sha256":"{sha256}","size":{len(content)}}}'
        await self._post(
            [
                f'{{"kind":"sample_grid_saved","iteration":{self._iteration},"file":{file},"rows":8,"columns":8,'
                f'"cell_width":20,"cell_height":20,"latents_sha256":"{"0" * 64}"}}'
            ]
        )

    def _metrics(self) -> str:
        self._iteration += 10
        values = ",".join(f'"loss/m{index}":{self._random.gauss(1, 0.1):.9g}' for index in range(VALUES))
        return f'{{"kind":"metrics_logged","iteration":{self._iteration},"values":{{{values}}}}}'

    async def _post(self, events: list[str]) -> None:
        at = datetime.now(UTC).isoformat()
        first = self._seq
        lines = (f'{{"seq":{first + index},"at":"{at}","event":{event}}}' for index, event in enumerate(events))
        body = f'{{"events":[{",".join(lines)}]}}'.encode()
        status, content = await self._wire.ask("events", "POST", f"{self._path}/events", self._token, body)
        if status == 200:
            self._seq = json.loads(content)["next_seq"]
        elif status in (401, 404, 409):
            # The attempt is over, or what it said is out of step: as a real worker, it lets go.
            self._begin(None)
