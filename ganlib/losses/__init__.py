"""Losses: pure functions of logits, chosen by the names that a spec may give."""
