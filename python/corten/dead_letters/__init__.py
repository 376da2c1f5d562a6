"""Operations and messages that failed for good."""
