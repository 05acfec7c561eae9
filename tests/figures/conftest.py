"""The made-up run of tests/report/conftest.py."""

from tests.report.conftest import finished, run

__all__ = ["finished", "run"]
