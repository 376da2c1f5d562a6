"""Messages, whatever broker they come from: decode, pipeline, handler, commit or dead letter.

Each name is loaded when it is first used: many programs have no messages at all.
"""

from typing import TYPE_CHECKING

from corten.messages.replay import replay

if TYPE_CHECKING:
    from corten.messages.accounting import ConsumerStatistics
    from corten.messages.commit_tracking import CommitTracker
    from corten.messages.consumer import Consumer
    from corten.messages.message import Message, MessageDetails
    from corten.messages.publisher import OutgoingMessage, Publisher
    from corten.messages.received import Received
    from corten.messages.runner import ConsumerRunner
    from corten.messages.source import MessageSource, Partition, Source, Subscription

__all__ = [
    "CommitTracker",
    "Consumer",
    "ConsumerRunner",
    "ConsumerStatistics",
    "Message",
    "MessageDetails",
    "MessageSource",
    "OutgoingMessage",
    "Partition",
    "Publisher",
    "Received",
    "Source",
    "Subscription",
    "replay",
]


def __getattr__(name: str) -> object:
    rooms = {
        "CommitTracker": "commit_tracking",
        "Consumer": "consumer",
        "ConsumerRunner": "runner",
        "ConsumerStatistics": "accounting",
        "Message": "message",
        "MessageDetails": "message",
        "MessageSource": "source",
        "OutgoingMessage": "publisher",
        "Partition": "source",
        "Publisher": "publisher",
        "Received": "received",
        "Source": "source",
        "Subscription": "source",
    }
    if name not in rooms:
        raise AttributeError(f"module 'corten.messages' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"corten.messages.{rooms[name]}"), name)
    globals()[name] = value  # the next time it is found without asking here
    return value


def __dir__() -> list[str]:
    return __all__
