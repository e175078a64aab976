"""Byte layouts of the network: one parser and one writer per format, and nothing else in the package knows them.

Nothing here decides anything: bytes in, values out, and back. What a peer may do to us by what it
sends is settled here by lengths and limits, so that callers handle values only.
"""
