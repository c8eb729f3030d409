"""Compared runs in groups: bands of means, their numbers worked out by hand, and what cannot be averaged."""

import re

from fastapi.testclient import TestClient

from tests.dashboard.web.test_pages import read, words
from tests.support.fake_worker import FakeWorker


def test_groups_are_drawn_as_one_band_each(client: TestClient, worker: FakeWorker) -> None:
    jobs = []
    for loss, values in (("hinge", (1.0, 3.0)), ("wasserstein", (7.0,))):
        for value in values:
            jobs.append(worker.submit(name=f"{loss} {value}", losses={"generator": loss, "discriminator": loss}))
            worker.claim()
            worker.post(*(
                {"kind": "metrics_logged", "iteration": at, "values": {"loss/generator": value * at / 100}}
                for at in (100, 200)
            ))  # fmt: skip
            worker.finish("succeeded")
    address = f"/compare?{'&'.join(f'run={job}' for job in jobs)}&metric=loss/generator"
    html = read(client, f"{address}&group=losses.generator")
    rows = [words(row) for row in re.findall(r'<tr data-metric="loss/generator".*?</tr>', html, re.S)]
    assert [row.split() for row in rows] == [
        ["1", "hinge,", "mean", "of", "2", "runs", "4.00"],
        ["2", "wasserstein,", "one", "run", "14.0"],
    ]
    assert f'data-url="/job-groups/{jobs[0]},{jobs[1]}/metrics"' in html
    # One run alone has no deviation, so its band has no width: its lower edge is its upper one.
    first, second = re.findall(r'<path class="band run-\d dash-\d" d="([^"]*)"', html)
    assert [
        len({point.split()[1] for point in re.split("[ML]", path.strip("Z"))[1:]}) for path in (first, second)
    ] == [4, 2]
    # Grids have the colours of their groups' lines.
    assert html.count("run-mark run-1 dash-1") >= 2
    assert "a line is the mean of a group" in words(html).lower()
    by_time = words(read(client, f"{address}&group=losses.generator&axis=time"))
    assert "By time runs are drawn one by one" in by_time
    assert "mean of 2 runs" not in by_time
    wrong = words(read(client, f"{address}&group=losses.genrator"))
    assert "did you mean losses.generator?" in wrong
    assert "1 hinge 1.0" in wrong


def test_more_runs_are_compared_by_groups_than_grids_are_shown(client: TestClient, worker: FakeWorker) -> None:
    jobs = []
    for seed in range(12):
        size = 32 if seed < 11 else 64
        jobs.append(worker.submit(name=f"r{seed}", seed=seed, batch_size=size))
        worker.claim()
        worker.log_metrics(100)
    address = f"/compare?{'&'.join(f'run={job}' for job in jobs)}&group=batch_size"
    html = read(client, address)
    assert "mean of 11 runs" in words(html)
    assert "Grids and tables show 10 of the 12 runs." in words(html)
    # The group of one is among them.
    assert f'data-track="{jobs[11]}"' in html
    assert html.count("data-track=") == 10
    assert "their batches differ in size" not in words(read(client, f"{address}&axis=images"))
    assert "their batches differ in size" in words(
        read(client, f"{address.replace('batch_size', 'losses.generator')}&axis=images")
    )
