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
from ganlib.evaluation.diagnosis.rules import divergence
from ganlib.evaluation.diagnosis.verdict import describe
from ganlib.evaluation.reactions import Reactions
from ganlib.evaluation.signals.meter import SignalMeter
from ganlib.evaluation.signals.probe import Observation, SignalProbe
from ganlib.evaluation.signals.references import choose_references
from ganlib.events import Event, FindingReported, LineLogged, MetricsLogged
from ganlib.training.recording.background_writer import BackgroundWriter
from ganlib.training.recording.divergence import Break
from ganlib.training.state import StepResult, TrainingState
from ganlib.vocabulary import DISCRIMINATOR_LOSS, FAKE_LOGITS, GENERATOR_LOSS, REAL_LOGITS

_MEMORY, _LAST_SAMPLES = "memory", "last_samples"


class Examiner:
    """Measures and judges one run, unless its spec says not to, or there is no generator to judge."""

    def __init__(self, state: TrainingState, writer: BackgroundWriter) -> None:
        spec = state.spec
        self._state = state
        self._writer = writer
        self._is_on = spec.diagnosis.enabled and state.has_gan
        self._every = spec.diagnosis.cadence(spec.sample_every)
        self._casebook = Casebook(spec.iterations, gather_facts(spec))
        self._reactions = Reactions(state)
        if self._is_on:
            references = choose_references(state)
            self._probe = SignalProbe(state, references)
            self._meter = SignalMeter(references)
            self._restore(state.diagnosis)

    def before_step(self) -> None:
        """Prepare for the iteration that comes, if it is one that is measured."""
        if self._is_due(self._state.iteration + 1):
            self._probe.before_step()

    def observe(self, step: StepResult) -> str:
        """Queue this iteration's signals and findings where they are due, and do what the spec says about these.

        Returns why the run is to stop, or nothing.
        """
        if not self._is_due(self._state.iteration):
            return ""
        losses = {
            GENERATOR_LOSS.name: step.generator_loss,
            DISCRIMINATOR_LOSS.name: step.discriminator_loss,
            REAL_LOGITS.name: step.real_logits,
            FAKE_LOGITS.name: step.fake_logits,
        }
        kept = {name: tensor.detach().mean() for name, tensor in losses.items() if tensor is not None}
        self._writer.put(partial(self._make_events, self._probe.observe(), kept))
        return self._react()

    def _react(self) -> str:
        """Do what the spec says about faults that were found; return why the run is to stop, or nothing.

        It waits for the writer where the spec says anything, so that the same run reacts at the same iteration.
        """
        if not self._reactions.are_asked_for:
            return ""
        self._writer.drain()
        finding = self._reactions.take()
        if finding is None:
            return ""
        if finding.action == "stop":
            return f"{describe(finding)}. {self._explain_stop(finding.rule)}"
        line = self._reactions.roll_back(finding)
        self._writer.put(partial(self._close, line))
        return ""

    def keep(self) -> None:
        """Keep the players as they are for a rollback, if the spec asks for some."""
        self._reactions.keep()

    def report_break(self, found: Break) -> None:
        """Deliver the finding of numbers that are not finite, which end the run; on the writer's thread."""
        finding = FindingReported(
            iteration=found.iteration,
            rule=divergence.RULE.name,
            since=self._casebook.lasting().get(divergence.RULE.name, found.iteration),
            severity=divergence.RULE.severity,
            text=f"Diverged: {found.evidence}"[:200],
            evidence={},
        )
        self._writer.deliver(finding)

    def memory(self) -> dict[str, Tensor]:
        """Return the tensors that a checkpoint must hold; to be called on the writer's thread."""
        if not self._is_on:
            return {}
        memory = {"casebook": self._casebook.state(), "reactions": self._reactions.state()}
        text = json.dumps(memory, sort_keys=True).encode()
        tensors = {_MEMORY: torch.frombuffer(bytearray(text), dtype=torch.uint8)}
        last = self._meter.last_samples
        return tensors if last is None else {**tensors, _LAST_SAMPLES: last}

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        if _MEMORY in tensors:
            memory = json.loads(bytes(tensors[_MEMORY].cpu().tolist()))
            self._casebook.restore(memory["casebook"])
            self._reactions.restore(memory["reactions"])
        if _LAST_SAMPLES in tensors:
            self._meter.last_samples = tensors[_LAST_SAMPLES].to(self._state.device)

    def _is_due(self, iteration: int) -> bool:
        is_last = iteration == self._state.spec.iterations
        return self._is_on and (is_last or iteration % self._every == 0)

    def _make_events(self, observation: Observation, losses: dict[str, Tensor]) -> list[Event]:
        signals = self._meter.measure(observation)
        values = signals | {name: float(value) for name, value in losses.items()}
        findings = self._casebook.add(Point(observation.iteration, values))
        decided = [self._reactions.decide(finding) for finding in findings]
        return [MetricsLogged(iteration=observation.iteration, values=signals), *decided]

    def _close(self, line: LineLogged) -> list[Event]:
        return [line, *(self._reactions.decide(ended) for ended in self._casebook.close(line.iteration))]

    def _explain_stop(self, rule: str) -> str:
        reaction = self._state.spec.on[rule]
        if reaction.action == "stop":
            return f"The spec says on.{rule}: stop."
        return f"on.{rule} allows no further rollback, or there is no checkpoint from before the fault."
