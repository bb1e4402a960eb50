"""The program's commands, in this process."""

import time

import pytest
from typer.testing import CliRunner

from attnreplace_cli.main import app


def command(*arguments: str) -> float:
    """What `benchmarks.measure.attnreplace` does, without a process."""
    started = time.perf_counter()
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output + str(result.exception)
    return time.perf_counter() - started


@pytest.fixture(name="command")
def _command():
    return command
