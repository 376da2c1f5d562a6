"""Errors say what happened and what to do."""

from __future__ import annotations

import copy

from corten.errors import DeadlineExceeded, PoolExhausted


def test_the_error_of_an_exhausted_pool_has_its_state_and_a_remedy() -> None:
    error = PoolExhausted("postgres 'default'", 0.25, "3 of 3 connections in use, 7 calls waiting", "raise max_size")
    words = (
        "postgres 'default': no connection came free within 0.25 s; "
        "3 of 3 connections in use, 7 calls waiting; raise max_size"
    )
    assert isinstance(error, DeadlineExceeded)
    assert (str(error), str(copy.copy(error))) == (words, words)
