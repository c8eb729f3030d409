"""Evaluation: metrics of samples, accuracy, classifier transfer."""
