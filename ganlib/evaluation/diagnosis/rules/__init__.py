"""The rules, a file each; `RULES` has them all by name, the most telling first."""

from ganlib.evaluation.diagnosis.rule import Rule

RULES: dict[str, Rule] = {}
