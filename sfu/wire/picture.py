"""What forwarding must know of a packet of video, whatever its codec, and how its headers are read. Dual source.

`picture` is a row of the struct in picture.pxd. Nothing raises: a bit that is not there reads as 0, and `cut` says so.
"""

import cython

# A layer's row keeps its size in 16 bits; whoever claims more has no size.
SIZE_MOST = cython.declare(cython.longlong, 0xFFFF)


def clear(picture):
    """No key frame, no size."""
    picture.key_frame = picture.width = picture.height = 0
    picture.bit = picture.start = picture.end = picture.escaped = picture.cut = 0


def begin(picture, start, end, escaped):
    """Read bit by bit from byte `start` to before byte `end`."""
    picture.start = start
    picture.end = end
    picture.escaped = escaped
    picture.bit = 8 * start
    picture.cut = 0


def bits(data, picture, count):
    """The next `count` bits (at most 32) as a number, the highest first."""
    value: cython.longlong = 0
    at: cython.int
    escape: cython.int
    while count > 0:
        at = picture.bit >> 3
        if at >= picture.end:
            picture.cut = 1
            return 0
        escape = picture.escaped and picture.bit & 7 == 0 and at >= picture.start + 2
        if escape and data[at] == 3 and data[at - 1] == 0 and data[at - 2] == 0:
            picture.bit += 8
            continue
        value = value << 1 | data[at] >> (7 - (picture.bit & 7)) & 1
        picture.bit += 1
        count -= 1
    return value


def golomb(data, picture):
    """The next Exp-Golomb number, ue(v) of H.264 9.1; one of more than 31 bits is none and reads as 0."""
    zeros: cython.int = 0
    one: cython.longlong = 1
    while bits(data, picture, 1) == 0:
        zeros += 1
        if picture.cut or zeros > 31:
            picture.cut = 1
            return 0
    return (one << zeros) - 1 + bits(data, picture, zeros)


def sized(picture, width, height):
    """The key frame has this size, if all of its header was there and the size is one."""
    if picture.cut == 0 and 0 < width <= SIZE_MOST and 0 < height <= SIZE_MOST:
        picture.width = width
        picture.height = height
