"""A broker in memory: publish, consume in groups, rebalance, fail on demand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from zlib import crc32

import anyio
import anyio.lowlevel

from corten.errors import ResourceUnavailable
from corten.hookspecs import hookimpl
from corten.messages.message import Message
from corten.messages.publisher import OutgoingMessage
from corten.messages.source import MessageSource, Partition, Subscription
from corten.plugins.descriptions import Resource

_Revoke = Callable[[frozenset[Partition]], Awaitable[None]]


class MemoryBroker:
    """A broker in memory: a publisher, a message source, and a plugin.

    Like a real broker it gives each partition to one member of a group, continues from the group's committed offsets,
    and lets a member finish before it revokes partitions.

    :param partitions: partitions of every topic; the CRC-32 of a message's key selects one
    :param name: the name of the message source
    """

    def __init__(self, *, partitions: int = 4, name: str = "kafka") -> None:
        self.name = name
        self.partitions = partitions
        self.available = True
        """Set to False, sends and commits raise `ResourceUnavailable` and nothing is received."""
        self.commits: list[tuple[str, dict[Partition, int]]] = []
        """Every commit, with its group, in order."""
        self._topics: dict[str, list[list[Message]]] = {}
        self._committed: dict[str, dict[Partition, int]] = {}
        self._groups: dict[str, list[_Member]] = {}
        self._rebalancing = anyio.Lock()
        self._unkeyed = 0

    @property
    def source(self) -> MessageSource:
        """The message source, for consumers."""
        return MessageSource(self.name, self._open)

    def messages(self, topic: str) -> list[Message]:
        """Return all messages of a topic, partition by partition."""
        return [message for log in self._topics.get(topic, []) for message in log]

    def committed(self, group: str) -> dict[Partition, int]:
        """Return the next offset of a group by partition."""
        return dict(self._committed.get(group, {}))

    def lag(self, group: str, topic: str) -> int:
        """Return the number of messages that a group has not committed."""
        committed = self._committed.get(group, {})
        return sum(
            len(log) - committed.get((topic, number), 0) for number, log in enumerate(self._topics.get(topic, []))
        )

    async def send(
        self, topic: str, value: bytes, *, key: bytes | None = None, headers: Mapping[str, bytes] | None = None
    ) -> None:
        """Publish one message.

        :raises ResourceUnavailable: the broker was made unavailable
        """
        await self.send_many([OutgoingMessage(topic, value, key, tuple((headers or {}).items()))])

    async def send_many(self, messages: Iterable[OutgoingMessage]) -> int:
        """Publish messages and return their number.

        :raises ResourceUnavailable: the broker was made unavailable
        """
        await anyio.lowlevel.checkpoint()
        self._require()
        count = 0
        for each in messages:
            logs = self._logs(each.topic)
            if each.key is None:
                self._unkeyed += 1
                number = self._unkeyed % self.partitions
            else:
                number = crc32(each.key) % self.partitions
            log = logs[number]
            log.append(Message(each.topic, number, len(log), each.value, each.key, each.headers))
            count += 1
        self.wake()
        return count

    def wake(self) -> None:
        """Wake all members, after ``available`` was set."""
        for members in self._groups.values():
            for member in members:
                member.wake()

    @hookimpl
    def corten_message_sources(self, app: object) -> Sequence[MessageSource]:  # noqa: ARG002 - the hook's argument
        """As a plugin: the source."""
        return [self.source]

    @hookimpl
    def corten_resources(self, app: object) -> Sequence[Resource]:  # noqa: ARG002 - the hook's argument
        """As a plugin: ``app.get(MemoryBroker)``."""

        @asynccontextmanager
        async def opened(_: object) -> AsyncGenerator[MemoryBroker, None]:
            yield self

        return [Resource(MemoryBroker, opened)]

    def _require(self) -> None:
        if not self.available:
            raise ResourceUnavailable(f"the memory broker {self.name!r} was made unavailable")

    def _logs(self, topic: str) -> list[list[Message]]:
        return self._topics.setdefault(topic, [[] for _ in range(self.partitions)])

    @asynccontextmanager
    async def _open(self, subscription: Subscription, revoke: _Revoke) -> AsyncGenerator[_Member, None]:
        member = _Member(self, subscription, revoke)
        members = self._groups.setdefault(subscription.group, [])
        await self._rebalance([*members, member], subscription.group)
        try:
            yield member
        finally:
            with anyio.CancelScope(shield=True):
                member.close()
                members = self._groups[subscription.group]
                await self._rebalance([each for each in members if each is not member], subscription.group)

    async def _rebalance(self, members: list[_Member], group: str) -> None:
        """Revoke partitions from members, which finish first; then assign them anew."""
        async with self._rebalancing:
            topics = sorted({topic for member in members for topic in member.subscription.topics})
            wanted: dict[_Member, set[Partition]] = {member: set() for member in members}
            for topic in topics:
                takers = [member for member in members if topic in member.subscription.topics]
                for number in range(self.partitions):
                    wanted[takers[number % len(takers)]].add((topic, number))
            before = self._groups[group]
            for member in before:
                if lost := member.assigned() - wanted.get(member, set()):
                    await member.give_up(frozenset(lost))
            self._groups[group] = members
            committed = self._committed.setdefault(group, {})
            for member, partitions in wanted.items():
                member.assign({each: committed.get(each, 0) for each in partitions - member.assigned()})

    def read(self, partition: Partition, start: int, limit: int) -> list[Message]:
        """Return messages of a partition from an offset on."""
        return self._logs(partition[0])[partition[1]][start : start + limit] if self.available else []

    def store(self, group: str, positions: dict[Partition, int]) -> None:
        """Store the committed positions of a group."""
        self._require()
        self._committed.setdefault(group, {}).update(positions)
        self.commits.append((group, positions))


class _Member:
    """One open subscription: a `corten.messages.Source`."""

    def __init__(self, broker: MemoryBroker, subscription: Subscription, revoke: _Revoke) -> None:
        self.subscription = subscription
        self._broker = broker
        self._revoke = revoke
        self._next: dict[Partition, int] = {}
        self._changed = anyio.Event()
        self._paused = False
        self._closed = False

    def assigned(self) -> set[Partition]:
        return set(self._next)

    def assign(self, positions: Mapping[Partition, int]) -> None:
        self._next.update(positions)
        self.wake()

    async def give_up(self, partitions: frozenset[Partition]) -> None:
        await self._revoke(partitions)
        for partition in partitions:
            del self._next[partition]

    async def receive(self) -> Sequence[Message]:
        """Wait for messages; an empty batch when the subscription was closed."""
        await anyio.lowlevel.checkpoint()
        while not self._closed:
            batch = [] if self._paused else self._take()
            if batch:
                return batch
            await self._changed.wait()
        return []

    def _take(self) -> list[Message]:
        batch: list[Message] = []
        for partition, start in self._next.items():
            found = self._broker.read(partition, start, self.subscription.max_batch - len(batch))
            self._next[partition] = start + len(found)
            batch += found
        return batch

    async def commit(self, positions: Mapping[Partition, int]) -> None:
        """Store the positions of partitions that are still assigned."""
        await anyio.lowlevel.checkpoint()
        self._broker.store(
            self.subscription.group, {each: end for each, end in positions.items() if each in self._next}
        )

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self.wake()

    def close(self) -> None:
        self._closed = True
        self.wake()

    def wake(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
