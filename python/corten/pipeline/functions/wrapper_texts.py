"""Source texts of wrappers, and functions that make one text of another.

In each text, ``{names}`` stands for pieces of `FunctionSignature`, ``{inputs}`` for what policies want to know of the
call, and ``{_}`` for a prefix that keeps the wrapper's names away from the parameters'. After an ``await`` the globals
may be those of other policies, so a text takes what it still needs before it. Texts are written for coroutine
functions; `Wrapper` leaves ``await`` out for sync ones.
"""

from __future__ import annotations

import textwrap

RUN = """\
    {_}result = {_}run({_}function({call}){inputs})
    if {_}type({_}result) is {_}Call:
        {_}go_on, {_}make = {_}carry_out, {_}function
        await {_}result
        {_}result = {_}result.result()
        if {_}type({_}result) is {_}Call:
            return await {_}go_on({_}result, {_}make, {args}, {kwargs}{inputs})
    return {_}result
"""
RUN_SYNC = """\
    return {_}run_sync({_}function, {args}, {kwargs}{inputs})
"""
CACHED = """\
    {_}result = {_}lookup({key})
    if {_}result is not {_}MISS:
        return {_}result
    return await {_}on_miss({key}, {args}, {kwargs})
"""
LAYERED = """\
    return await {_}around({args}, {kwargs}{inputs})
"""
ADMITTED = """\
    await {_}admit(None{inputs})
    return await {_}function({call})
"""
HEDGED = """\
    if "trio" in {_}modules and {_}on_trio():
        return await {_}hedge_on_trio({args}, {kwargs})
    {_}context = {_}copy_context()
    {_}started = {_}now()
    {_}result = {_}run({_}function({call}))
    if {_}type({_}result) is {_}Call:
        return await {_}hedge({_}result, {_}started, {_}context, {args}, {kwargs})
    return {_}result
"""
# An async generator of its own, for nothing else looks like one. It hands on what it is sent, step by step.
ITERATED = """\
    {_}iteration = {_}begin({args}, {kwargs}{inputs})
    {_}verb, {_}sent = "asend", None
    try:
        while ({_}item := await {_}iteration.step({_}verb, {_}sent)) is not {_}MISS:
            try:
                {_}verb, {_}sent = "asend", (yield {_}item)
            except {_}GeneratorExit:
                raise
            except {_}BaseException as {_}error:
                {_}verb, {_}sent = "athrow", {_}error
    except {_}GeneratorExit:
        await {_}iteration.close()
        raise
"""
BYPASSED = """\
    return await {_}function({call})
"""
KEY = """\
    return {key}
"""
UNCONFIGURED = """\
    {_}refuse()
"""
UNCONFIGURED_ITERATED = """\
    {_}refuse()
    yield
"""


def without_await(text: str) -> str:
    """Return a text for sync functions."""
    return text.replace("await ", "")


def observed(text: str) -> str:
    """Return a text that runs while observers watch."""
    return "    with {_}observe():\n" + textwrap.indent(text, "    ")


def remembered(text: str) -> str:
    """Return a text that remembers each result, unless a fallback gave it."""
    return _before_result(text, "{_}remember({args}, {kwargs}, {_}result)")


def measured(text: str) -> str:
    """Return a text that records the time of calls that never suspend."""
    return _before_result(text, "{_}took({_}now() - {_}started)")


def trimmed(text: str) -> str:
    """Return a text that takes Corten's frames out of tracebacks."""
    return (
        "    try:\n"
        + textwrap.indent(text, "    ")
        + """\
    except {_}BaseException as {_}error:
        {_}error.__traceback__ = {_}trimmed({_}error)
        raise
"""
    )


def _before_result(text: str, line: str) -> str:
    """Return a text with a line before the last one."""
    body, last = text[: text.rindex("\n", 0, -1) + 1], text[text.rindex("\n", 0, -1) + 1 :]
    indent = last[: len(last) - len(last.lstrip())]
    return f"{body}{indent}{line}\n{last}"
