"""Numbers in network byte order. Dual source; callers have checked that the bytes are there."""

import cython


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
