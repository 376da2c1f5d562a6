"""Messages, whatever broker they come from: decode, pipeline, handler, commit or dead letter."""
