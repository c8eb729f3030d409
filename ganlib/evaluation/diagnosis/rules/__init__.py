"""The rules, a file each; `RULES` has them all by name, the most telling first."""

from ganlib.evaluation.diagnosis.rule import Rule
from ganlib.evaluation.diagnosis.rules import (
    checkerboard,
    discriminator_overfits,
    discriminator_overpowers,
    divergence,
    generator_starved,
    label_ignored,
    memorisation,
    mode_collapse,
    no_progress,
    oscillating_modes,
    partial_collapse,
    saturated_units,
)

RULES: dict[str, Rule] = {
    module.RULE.name: module.RULE
    for module in (
        divergence,
        mode_collapse,
        memorisation,
        label_ignored,
        generator_starved,
        discriminator_overpowers,
        no_progress,
        partial_collapse,
        oscillating_modes,
        discriminator_overfits,
        saturated_units,
        checkerboard,
    )
}
