"""Measurements: accuracy, divergence, kernel statistics, time."""
