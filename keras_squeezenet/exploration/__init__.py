"""Sweeps over the design space of the paper, section 5."""
