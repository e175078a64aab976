"""Numbers in network byte order, and copies. Dual source; callers have checked that the bytes are there."""

import cython
from cython.cimports.libc.string import memcpy


def get16(data, at):
    return data[at] << 8 | data[at + 1]


def get24(data, at):
    return data[at] << 16 | data[at + 1] << 8 | data[at + 2]


def get32(data, at):
    high: cython.longlong = data[at]
    return high << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]


def put16(data, at, value):
    data[at] = value >> 8 & 255
    data[at + 1] = value & 255


def put24(data, at, value):
    data[at] = value >> 16 & 255
    data[at + 1] = value >> 8 & 255
    data[at + 2] = value & 255


def put32(data, at, value):
    data[at] = value >> 24 & 255
    data[at + 1] = value >> 16 & 255
    data[at + 2] = value >> 8 & 255
    data[at + 3] = value & 255


def copy(out, to, data, at, count):
    """`count` bytes from data[at:] to out[to:], which do not overlap. A loop would be a fifth of a packet's cost."""
    i: cython.longlong
    if cython.compiled:
        memcpy(out + to, data + at, count)
        return
    for i in range(count):
        out[to + i] = data[at + i]
