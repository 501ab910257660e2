"""The coding of weights: arrays in, bytes and their numbers out."""
