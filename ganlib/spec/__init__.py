"""The job spec: parsed, checked and measured without torch."""
