"""Histograms of logits, gradients and layers while a run trains (Winkler, 2018, section 4.7.2).

On the training thread tensors are only kept; they are counted into bins on their device by the background writer.
"""

from functools import partial

import torch
from torch import Tensor, nn

from ganlib.events import BIN_COUNT, Event, Histogram, HistogramsLogged
from ganlib.training.recording.activations import record_layers
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.state import StepResult, TrainingState
from ganlib.vocabulary import DISCRIMINATOR_GRADIENTS, FAKE_LOGITS, GENERATOR_GRADIENTS, REAL_LOGITS

_LOGITS = {"real": REAL_LOGITS.name, "fake": FAKE_LOGITS.name}


@torch.no_grad()
def count_bins(values: Tensor) -> Histogram:
    """Count float32 values (N,) into equal bins from the least to the greatest finite one, both ends included.

    Values that are all equal lie in the middle of a range of their own size, or of 1 around 0.
    """
    values = values.double()
    finite = values[values.isfinite()]
    not_finite = len(values) - len(finite)
    if not len(finite):
        return Histogram(low=0.0, high=1.0, counts=(0,) * BIN_COUNT, not_finite=not_finite)
    low, high = (bound.item() for bound in finite.aminmax())
    if low == high:
        reach = abs(low) / 2 or 0.5
        low, high = low - reach, high + reach
    bins = ((finite - low) / (high - low) * BIN_COUNT).long()
    counts = torch.bincount(bins.clamp_(0, BIN_COUNT - 1), minlength=BIN_COUNT)
    return Histogram(low=low, high=high, counts=tuple(counts.tolist()), not_finite=not_finite)


class HistogramReporter:
    """Reports histograms every so many iterations, if the spec asks for them."""

    def __init__(self, state: TrainingState, writer: BackgroundWriter) -> None:
        self._state = state
        self._writer = writer
        self._every = state.spec.histogram_every

    def observe(self, step: StepResult) -> None:
        """Keep an iteration's logits, and queue the histograms where they are due.

        The last iteration has some too, whatever the cadence; a run that is resumed from there keeps its logits.
        """
        if self._every is None:
            return
        state = self._state
        state.logit_history.add(step.real_logits, step.fake_logits)
        is_due = state.iteration % self._every == 0
        if not is_due and state.iteration != state.spec.iterations:
            return
        tensors = {_LOGITS[side]: parts for side, parts in state.logit_history.parts().items()}
        gradients = {
            GENERATOR_GRADIENTS: _copy_gradients(state.networks.generator),
            DISCRIMINATOR_GRADIENTS: _copy_gradients(state.networks.discriminator),
        }
        self._writer.put(partial(_make_histograms, state.iteration, tensors, gradients))
        if layers := record_layers(state):
            self._writer.put(partial(_make_layer_histograms, state.iteration, layers))
        if is_due:
            state.logit_history.clear()


def _copy_gradients(network: nn.Module) -> list[Tensor]:
    # Copies, because the next iteration may write into the same memory.
    return [
        weights.grad.detach().flatten().clone() for weights in network.parameters() if weights.grad is not None
    ]


def _make_histograms(iteration: int, logits: dict[str, list[Tensor]], gradients: dict[str, list[Tensor]]) -> Event:
    values = {name: torch.cat(parts) for name, parts in logits.items()}
    # A gradient of 0 has no logarithm; it is counted with what is not finite.
    values |= {name: torch.cat(parts).abs().log10() for name, parts in gradients.items() if parts}
    return HistogramsLogged(iteration=iteration, histograms={n: count_bins(v) for n, v in values.items()})


def _make_layer_histograms(iteration: int, layers: dict[str, Tensor]) -> Event:
    return HistogramsLogged(iteration=iteration, histograms={name: count_bins(v) for name, v in layers.items()})
