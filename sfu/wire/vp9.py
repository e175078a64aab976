"""The VP9 payload descriptor (RFC 9628 section 4.2) and the head of a key frame. Dual source."""

import cython
from cython.cimports.sfu.wire.octets import get16
from cython.cimports.sfu.wire.picture import begin, bits, clear, sized


def parse(data, size, picture):
    """Fill `picture` from a payload; 0, or -1 when its descriptor is cut short."""
    at: cython.int = 1
    flags: cython.int
    spatial: cython.int = 0
    references: cython.int = 0
    clear(picture)
    if size < 1:
        return -1
    flags = data[0]
    if flags & 128:  # I: picture id of 7 or 15 bits
        if size <= at:
            return -1
        at += 2 if data[at] & 128 else 1
    if flags & 32:  # L: layer indices, and TL0PICIDX where F is not set
        if size <= at:
            return -1
        spatial = data[at] >> 1 & 7
        at += 1 if flags & 16 else 2
    if flags & 80 == 80:  # P and F: up to three references
        while True:
            if size <= at or references == 3:
                return -1
            at += 1
            references += 1
            if not data[at - 1] & 1:
                break
    if flags & 2:  # V: scalability structure
        at = skip_structure(data, at, size, picture)
        if at < 0:
            return -1
    if size < at:
        return -1
    # Not predicted, begin of a frame, lowest spatial layer; and the frame's own header must say so too.
    if flags & 72 == 8 and spatial == 0 and read_header(data, at, size, picture):
        picture.key_frame = 1
    else:
        picture.width = picture.height = 0
    return 0


def skip_structure(data, at, size, picture):
    """Where the scalability structure ends, -1 when it is cut short; `picture` gets the size of its largest layer."""
    flags: cython.int
    layers: cython.int
    _i: cython.int
    if size <= at:
        return -1
    flags = data[at]
    layers = (flags >> 5) + 1
    at += 1
    if flags & 16:  # Y: a size for each spatial layer, the largest last
        if size < at + 4 * layers:
            return -1
        at += 4 * layers
        sized(picture, get16(data, at - 4), get16(data, at - 2))
    if flags & 8:  # G: a description of the group of pictures
        if size <= at:
            return -1
        layers = data[at]  # pictures in the group
        at += 1
        for _i in range(layers):
            if size <= at:
                return -1
            at += 1 + (data[at] >> 2 & 3)
    return at


def read_header(data, at, size, picture):
    """Whether the uncompressed header (VP9 6.2) at `at` is a key frame's; its size, unless one is known already."""
    profile: cython.int
    space: cython.int
    width: cython.longlong
    begin(picture, at, size, 0)
    if bits(data, picture, 2) != 2:
        return 0
    profile = bits(data, picture, 1)
    profile += 2 * bits(data, picture, 1)
    if profile == 3:
        bits(data, picture, 1)
    # show_existing_frame, frame_type
    if bits(data, picture, 2) or picture.cut:
        return 0
    bits(data, picture, 2)  # show_frame, error_resilient_mode
    if bits(data, picture, 24) != 0x498342:
        return picture.cut  # cut off before the start code, or no key frame of VP9
    if picture.height:
        return 1
    if profile >= 2:
        bits(data, picture, 1)
    space = bits(data, picture, 3)
    if space != 7:
        bits(data, picture, 1)
    if profile & 1:
        bits(data, picture, 1 if space == 7 else 3)
    width = bits(data, picture, 16) + 1
    sized(picture, width, bits(data, picture, 16) + 1)
    return 1
