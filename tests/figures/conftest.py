"""The made-up run of tests/report/conftest.py."""

from tests.report.conftest import finished_run, run

__all__ = ["finished_run", "run"]
