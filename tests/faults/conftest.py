"""Fixtures of the fault tests."""

from faults.runs import whole  # noqa: F401
