"""The media server: node and worker processes, and what they share. See ARCHITECTURE.md."""

__version__ = "0.1.0"
