"""Tests for transports of interCEde: a conformance suite, and real servers to run it against."""

__version__ = "0.1.0"
