"""Examines a run while it trains: measures its signals, looks for faults by the rules, and reports findings.

On the training thread the run is only looked at; signals are computed, and rules asked, by the background writer,
in the order of the iterations. What the rules remember is part of each checkpoint, so that a run that was stopped
finds the same as one that was not.
"""

import json
from functools import partial

import torch
from torch import Tensor

from ganlib.evaluation.diagnosis.casebook import Casebook
from ganlib.evaluation.diagnosis.facts import gather_facts
from ganlib.evaluation.diagnosis.history import Point
from ganlib.evaluation.signals.meter import SignalMeter
from ganlib.evaluation.signals.probe import Observation, SignalProbe
from ganlib.evaluation.signals.references import choose_references
from ganlib.events import Event, MetricsLogged
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.state import StepResult, TrainingState
from ganlib.vocabulary import DISCRIMINATOR_LOSS, FAKE_LOGITS, GENERATOR_LOSS, REAL_LOGITS

_MEMORY, _LAST_SAMPLES = "casebook", "last_samples"


class Examiner:
    """Measures and judges one run, unless its spec says not to, or there is no generator to judge."""

    def __init__(self, state: TrainingState, writer: BackgroundWriter) -> None:
        spec = state.spec
        self._state = state
        self._writer = writer
        self._is_on = spec.diagnosis.enabled and state.has_gan
        self._every = spec.diagnosis.cadence(spec.sample_every)
        self.casebook = Casebook(spec.iterations, gather_facts(spec))
        if self._is_on:
            references = choose_references(state)
            self._probe = SignalProbe(state, references)
            self._meter = SignalMeter(references)
            self._restore(state.diagnosis)

    def before_step(self) -> None:
        """Prepare for the iteration that comes, if it is one that is measured."""
        if self._is_due(self._state.iteration + 1):
            self._probe.before_step()

    def observe(self, step: StepResult) -> bool:
        """Queue this iteration's signals and findings where they are due, and return whether they were."""
        if not self._is_due(self._state.iteration):
            return False
        losses = {
            GENERATOR_LOSS.name: step.generator_loss,
            DISCRIMINATOR_LOSS.name: step.discriminator_loss,
            REAL_LOGITS.name: step.real_logits,
            FAKE_LOGITS.name: step.fake_logits,
        }
        kept = {name: tensor.detach().mean() for name, tensor in losses.items() if tensor is not None}
        self._writer.put(partial(self._make_events, self._probe.observe(), kept))
        return True

    def memory(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold; to be called on the writer's thread."""
        if not self._is_on:
            return {}
        text = json.dumps(self.casebook.state(), sort_keys=True).encode()
        tensors = {_MEMORY: torch.frombuffer(bytearray(text), dtype=torch.uint8)}
        last = self._meter.last_samples
        return tensors if last is None else {**tensors, _LAST_SAMPLES: last}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        if _MEMORY in tensors:
            self.casebook.restore(json.loads(bytes(tensors[_MEMORY].cpu().tolist())))
        if _LAST_SAMPLES in tensors:
            self._meter.last_samples = tensors[_LAST_SAMPLES].to(self._state.device)

    def _is_due(self, iteration: int) -> bool:
        is_last = iteration == self._state.spec.iterations
        return self._is_on and (is_last or iteration % self._every == 0)

    def _make_events(self, observation: Observation, losses: dict[str, Tensor]) -> list[Event]:
        signals = self._meter.measure(observation)
        values = signals | {name: float(value) for name, value in losses.items()}
        findings = self.casebook.add(Point(observation.iteration, values))
        return [MetricsLogged(iteration=observation.iteration, values=signals), *findings]
