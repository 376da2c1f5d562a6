"""Operations and messages that failed for good."""

from corten.dead_letters.letter import DeadLetter
from corten.dead_letters.memory import MemoryDeadLetterStatistics, MemoryDeadLetterStore
from corten.dead_letters.store import DeadLetterStore

__all__ = ["DeadLetter", "DeadLetterStore", "MemoryDeadLetterStatistics", "MemoryDeadLetterStore"]
