"""Errors of the driver, told apart without a server."""

from __future__ import annotations

import asyncpg
import pytest

from corten.errors import DeadlineExceeded, ResourceUnavailable
from corten_postgres.errors import (
    ConnectionLost,
    DeadlockDetected,
    QueryError,
    QueryTimeout,
    SerializationFailure,
    one_line,
    translate,
)


def told(error: Exception, *, closed: bool = False) -> Exception:
    return translate(error, "postgres 'default'", "select 1", closed=closed, seconds=2.0)


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.AdminShutdownError("terminating connection due to administrator command"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        ConnectionResetError("reset by peer"),
        EOFError(),
    ],
)
def test_a_broken_connection_is_retryable_and_its_outcome_unknown(error: Exception) -> None:
    loss = told(error)
    assert isinstance(loss, ConnectionLost)
    assert isinstance(loss, ResourceUnavailable)
    assert loss.retryable
    assert loss.outcome_unknown


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("unexpected state"), asyncpg.InterfaceError("closed")])
def test_the_drivers_own_state_errors_are_losses_only_where_the_connection_is_closed(error: Exception) -> None:
    assert isinstance(told(error, closed=True), ConnectionLost)
    refused = told(error, closed=False)
    assert isinstance(refused, QueryError)
    assert not refused.retryable


def test_a_timeout_is_a_deadline_and_not_a_loss() -> None:
    late = told(TimeoutError(), closed=False)
    assert isinstance(late, QueryTimeout)
    assert isinstance(late, DeadlineExceeded)
    assert late.seconds == 2.0


def test_transactions_that_met_another_one_are_retryable() -> None:
    for kind, ours in (
        (asyncpg.SerializationError, SerializationFailure),
        (asyncpg.DeadlockDetectedError, DeadlockDetected),
    ):
        error = told(kind("again"))
        assert isinstance(error, ours)
        assert error.retryable


def test_errors_of_the_callers_own_come_back_as_they_are() -> None:
    mine = KeyError("mine")
    assert told(mine) is mine


def test_a_long_statement_is_shown_as_one_short_line() -> None:
    line = one_line("select\n   *\nfrom " + "x" * 1000)
    assert line.startswith("select * from xxx")
    assert len(line) == 201
