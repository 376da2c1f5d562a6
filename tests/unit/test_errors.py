"""Errors say what happened and what to do."""

from __future__ import annotations

import copy

from corten.errors import DeadlineExceeded, PoolExhausted


def test_an_exhausted_pool_says_how_it_stands_and_what_to_do() -> None:
    error = PoolExhausted("postgres 'default'", 0.25, "3 of 3 connections in use, 7 calls waiting", "raise max_size")
    words = (
        "postgres 'default': no connection came free within 0.25 s; "
        "3 of 3 connections in use, 7 calls waiting; raise max_size"
    )
    assert isinstance(error, DeadlineExceeded)
    assert (str(error), str(copy.copy(error))) == (words, words)
