"""Measurements, by `make bench`: each figure beside its peer, interleaved; never asserted."""
