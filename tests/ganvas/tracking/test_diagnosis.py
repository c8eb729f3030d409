import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganlib.evaluation.signals import samples
from ganlib.vocabulary import DISCRIMINATOR_LOSS, GENERATOR_LOSS
from ganlib.vocabulary.losses import find_role
from ganvas.exchange.records import Points, SourceRun
from ganvas.exchange.writing import Imported, write_run
from ganvas.tracking.folder import RunFolder
from ganvas.tracking.pictures.saving import PictureSaver
from ganvas.tracking.sender import signals
from ganvas.tracking.sender.diagnosis import Diagnosis
from tests.ganvas.tracking.conftest import Recorded

OTHERS = np.random.default_rng(0)


def make_images(count: int, side: int = 16, channels: int = 1) -> np.ndarray[Any, Any]:
    """Pictures of blobs that differ, uint8."""
    ticks = np.arange(side)
    places = OTHERS.uniform(2, side - 2, (count, 2))
    rows = np.exp(-((ticks[None] - places[:, :1]) ** 2) / 6)
    columns = np.exp(-((ticks[None] - places[:, 1:]) ** 2) / 6)
    blobs = 255 * rows[:, :, None] * columns[:, None, :]
    return np.repeat(blobs[:, None], channels, axis=1).astype(np.uint8)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (28, 1), (40, 3)])
def test_signals_are_those_of_ganlib_to_a_millionth(side: int, channels: int) -> None:
    images, real = make_images(20, side, channels), make_images(24, side, channels)
    ours, theirs = signals.shrink(images), samples.shrink(torch.from_numpy(images))
    real_ours, real_theirs = signals.shrink(real), samples.shrink(torch.from_numpy(real))
    radius = samples.near_radius(real_theirs)
    pairs = [
        (signals.mean_distance(ours), samples.mean_distance(theirs)),
        (signals.count_kinds(ours, float(radius)), samples.count_kinds(theirs, radius)),
        (signals.duplicate_share(ours, float(radius)), samples.duplicate_share(theirs, radius)),
        (signals.energy_distance(ours, real_ours), samples.energy_distance(theirs, real_theirs)),
        (signals.contrast(images), samples.contrast(torch.from_numpy(images))),
        (signals.grid_pattern(images), samples.grid_pattern(torch.from_numpy(images))),
    ]
    assert np.allclose(ours, theirs.numpy(), atol=1e-6)
    for own, other in pairs:
        assert own == pytest.approx(float(other), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *(
            (name, GENERATOR_LOSS.name)
            for name in ("g_loss", "loss_G", "errG", "Loss/generator", "G_loss", "lossG")
        ),
        *((name, GENERATOR_LOSS.name) for name in ("gen_loss", "train/g_loss", "generatorLoss", "loss/generator")),
        *(
            (name, DISCRIMINATOR_LOSS.name)
            for name in ("d_loss", "loss_D", "errD", "critic_loss", "disc-loss", "dLoss")
        ),
        *(
            (name, None)
            for name in ("loss", "g", "D(x)", "val/g_loss", "g_loss_gp", "loss_D_real", "fid", "d_acc")
        ),
    ],
)
def test_losses_are_recognised_by_the_names_that_people_use(name: str, role: str | None) -> None:
    assert find_role(name) == role


def diagnose(recorded: Recorded, **header: Any) -> tuple[list[dict[str, Any]], Diagnosis]:
    recorded.events()
    diagnosis = Diagnosis(recorded.folder, {"name": "gan", "config": {}, **header})
    return diagnosis.follow(), diagnosis


def find(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


@pytest.mark.parametrize("with_real", [True, False])
def test_a_collapse_is_found_with_and_without_real_images(recorded: Recorded, with_real: bool) -> None:
    if with_real:
        recorded.run.real(make_images(64))
    for step in range(0, 1500, 100):
        various = make_images(64)
        images = various if step < 700 else np.repeat(various[:1], 64, axis=0)
        recorded.run.grid(images, step=step)
    events = []
    recorded.events()
    diagnosis = Diagnosis(recorded.folder, {"name": "gan"})
    while found := diagnosis.follow():
        events += found
    findings = find(events, "finding_reported")
    collapse = next(finding for finding in findings if finding["rule"] == "mode_collapse")
    assert collapse["since"] >= 700
    assert collapse["text"] == "Collapsed: 64 cells, 1 kind"
    values = find(events, "metrics_logged")[0]["values"]
    assert values["signals/diversity"] == pytest.approx(1.0, abs=0.5)
    assert ("signals/real_distance" in values) == with_real
    told = [event["text"] for event in find(events, "line_logged")]
    assert any("without real images" in text for text in told) == (not with_real)


def test_what_a_resumed_run_has_dropped_is_not_examined_again(recorded: Recorded) -> None:
    for at, step in enumerate((*range(52), *range(40, 61))):
        recorded.run.log({"g_loss": float("nan") if at in (50, 51) else 0.7, "d_loss": 1.0}, step=step)
    earlier = {"earlier": [{"attempt": 1, "first_seq": 0}], "attempt": 2, "first_seq": 52}
    recorded.events()
    events, _ = diagnose(recorded, **earlier, resume_at=39)
    assert find(events, "finding_reported") == []
    # The control: nothing was dropped.
    events, _ = diagnose(recorded, **earlier)
    assert find(events, "finding_reported")


def test_a_run_that_learns_is_not_called_collapsed(recorded: Recorded) -> None:
    """Control: various samples give no finding, and neither do the first ones of a run that are all alike."""
    for step in range(0, 1500, 100):
        images = make_images(64)
        recorded.run.grid(images if step >= 300 else np.repeat(images[:1], 64, axis=0), step=step)
    events, _ = diagnose(recorded)
    assert find(events, "finding_reported") == []


@pytest.mark.parametrize("value", [np.nan, 0.0, 1.0, 0.5])
def test_pictures_that_are_not_finite_or_blank_are_found_whenever_they_come(
    recorded: Recorded, value: float
) -> None:
    """Control: grey, which networks may begin with, and fewer blank grids than three give no finding so early."""
    for step in range(4):
        recorded.run.grid(np.full((9, 28, 28), value), step=step, range=(0, 1))
    findings = find(diagnose(recorded)[0], "finding_reported")
    said = (
        "Diverged: 100% of the pictures' values are not finite"
        if np.isnan(value)
        else "Pictures of one plain colour"
    )
    found = [(finding["rule"], finding["since"], finding["text"]) for finding in findings]
    assert found == ([] if value == 0.5 else [("divergence", 0 if np.isnan(value) else 2, said)])
    noted = [event["text"] for event in recorded.events("line_logged")]
    word = "100.0% of the pictures' values are NaN" if np.isnan(value) else "The pictures are plain "
    assert [word in text for text in noted] == [True]


def test_pictures_that_become_finite_again_end_the_finding(recorded: Recorded) -> None:
    for step in range(600, 1000, 100):
        images = make_images(9).astype(float)
        images[0, 0, 0, 0] = np.nan if step < 800 else 0.0
        recorded.run.grid(images, step=step)
    assert [event["iteration"] for event in recorded.events("metrics_logged")] == [600, 800]
    findings = find(diagnose(recorded)[0], "finding_reported")
    assert [(each["since"], each["ended"]) for each in findings] == [(600, None), (600, 800)]
    # A process that goes on with a run knows nothing of its last grid, and says that its own is whole.
    recorded.run._pictures = PictureSaver(recorded.run._writer, goes_on=True)
    for step in (1000, 1100):
        recorded.run.grid(make_images(9), step=step)
    assert [event["iteration"] for event in recorded.events("metrics_logged")] == [600, 800, 1000]
    assert findings[0]["text"] == "Diverged: some of the pictures' values are not finite"


def test_losses_that_are_not_finite_are_found_without_any_grid(recorded: Recorded) -> None:
    for step in range(40):
        recorded.run.log({"errG": 1.0, "errD": float("nan") if step >= 30 else 0.5, "lr": 1e9}, step=step)
    events, _ = diagnose(recorded)
    (finding,) = find(events, "finding_reported")
    assert (finding["rule"], finding["since"]) == ("divergence", 30)


@pytest.mark.parametrize(("last", "rules"), [(9000.0, []), (1e7, ["divergence"])])
def test_losses_that_are_sums_are_large_and_only_explode_beside_their_first_ones(
    recorded: Recorded, last: float, rules: list[str]
) -> None:
    for step in range(100):
        recorded.run.log({"g_loss": 5000.0 if step < 80 else last}, step=step)
    assert [finding["rule"] for finding in find(diagnose(recorded)[0], "finding_reported")] == rules


def test_two_losses_of_one_player_are_left_alone(recorded: Recorded) -> None:
    for step in range(40):
        recorded.run.log({"g_loss": 1.0, "loss/generator": float("nan")}, step=step)
    assert find(diagnose(recorded)[0], "finding_reported") == []


def test_nothing_is_said_twice_where_a_run_goes_on(record: Callable[[], Recorded]) -> None:
    recorded = record()
    recorded.run.latents(np.zeros((16, 2)))
    for step in range(0, 900, 100):
        recorded.run.grid(make_images(16), step=step)
    first, diagnosis = diagnose(recorded)
    assert find(first, "metrics_logged")
    assert diagnosis.follow() == []
    again = Diagnosis(recorded.folder, {"name": "gan"}, first_new=recorded.folder.count_events())
    assert again.follow() == []
    recorded.run.grid(make_images(16), step=1000)
    recorded.events()
    (logged,) = find(again.follow(), "metrics_logged")
    assert (logged["iteration"], again.step) == (1000, 1000)
    assert logged["values"]["signals/movement"] > 0
    # Cells of other latents, and of none, have not moved.
    for latents in (np.ones((16, 2)), np.ones((3, 2))):
        recorded.run.latents(latents)
        recorded.run.grid(make_images(16), step=1100)
        recorded.events()
        (logged,) = find(again.follow(), "metrics_logged")
        assert "signals/movement" not in logged["values"]


def import_losses(path: Path, last: int, *others: Points) -> Imported:
    """Import losses as MLflow has them, one metric after the other; errD is NaN from step 30 on."""
    points = [Points(step, {"errG": 1.0}) for step in range(last)]
    points += [Points(step, {"errD": 0.5 if step < 30 else math.nan}) for step in range(last)]
    return write_run(SourceRun("mlflow", b"1", "gan", "", lambda _: iter([*others, *points])), path)


def test_what_an_import_brings_is_examined_in_the_order_of_its_steps_and_once(tmp_path: Path) -> None:
    assert [import_losses(tmp_path / "run", last).findings for last in (25, 40, 40, 60)] == [0, 1, 0, 0]
    events = [row["event"] for row in RunFolder(tmp_path / "run").read_events()]
    (finding,) = find(events, "finding_reported")
    assert (finding["rule"], finding["since"]) == ("divergence", 30)


def test_rules_look_at_the_signals_that_an_exported_run_brings_along(tmp_path: Path) -> None:
    def bring(name: str, kinds: float, diversity: float) -> list[str]:
        signals = [
            Points(step, {f"signals/{each}": value})
            for each, value in (("kinds", kinds), ("diversity", diversity), ("movement", 0.2))
            for step in range(0, 1001, 100)
        ]
        write_run(SourceRun("mlflow", b"1", name, "", lambda _: iter(signals)), tmp_path / name)
        events = [row["event"] for row in RunFolder(tmp_path / name).read_events()]
        return [each["rule"] for each in find(events, "finding_reported")]

    assert set(bring("collapsed", 1.0, 0.01)) == {"mode_collapse"}
    assert bring("healthy", 60.0, 0.9) == []
