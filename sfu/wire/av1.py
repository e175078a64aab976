"""The AV1 aggregation header (RTP payload format for AV1, section 4.4) and the sequence header. Dual source."""

import cython
from cython.cimports.sfu.wire.picture import begin, bits, clear, sized

SEQUENCE_HEADER = cython.declare(cython.int, 1)


def parse(data, size, picture):
    """Fill `picture` from a payload; 0, or -1 when it is cut short.

    N says that a coded video sequence begins here, which is a key frame with its sequence header.
    """
    length: cython.longlong
    header: cython.int
    clear(picture)
    if size < 2:
        return -1
    if data[0] & 136 != 8:  # N, and not Z: no continuation of the last packet
        return 0
    picture.key_frame = 1
    begin(picture, 1, size, 0)
    if data[0] >> 4 & 3 != 1:  # W: with one element alone there is no length
        length = leb128(data, picture)
        if picture.cut or length == 0 or (picture.bit >> 3) + length > size:
            return -1
        picture.end = (picture.bit >> 3) + length
    header = bits(data, picture, 8)
    if header & 4:  # an extension follows
        bits(data, picture, 8)
    if header & 2:  # a length follows
        leb128(data, picture)
    if header >> 3 & 15 == SEQUENCE_HEADER:
        read_size(data, picture)
    return 0


def leb128(data, picture):
    """A number of 7 bits a byte, the lowest first (AV1 4.10.5); more than four bytes are no length of a packet's."""
    value: cython.longlong = 0
    byte: cython.longlong
    i: cython.int
    for i in range(4):
        byte = bits(data, picture, 8)
        value |= (byte & 127) << 7 * i
        if not byte & 128:
            return value
    picture.cut = 1
    return 0


def read_size(data, picture):
    """The largest size of a frame, from the sequence header (AV1 5.5.1); one with a clock of its own is not read."""
    width_bits: cython.int
    height_bits: cython.int
    width: cython.longlong
    bits(data, picture, 4)  # profile, still_picture
    if bits(data, picture, 1):  # reduced_still_picture_header
        bits(data, picture, 5)
    else:
        if bits(data, picture, 1):  # timing_info_present_flag
            return
        skip_operating_points(data, picture)
    width_bits = bits(data, picture, 4) + 1
    height_bits = bits(data, picture, 4) + 1
    width = bits(data, picture, width_bits) + 1
    sized(picture, width, bits(data, picture, height_bits) + 1)


def skip_operating_points(data, picture):
    """The operating points, where no timing is given."""
    delays: cython.int = bits(data, picture, 1)
    count: cython.int = bits(data, picture, 5) + 1
    _i: cython.int
    for _i in range(count):
        bits(data, picture, 12)
        if bits(data, picture, 5) > 7:
            bits(data, picture, 1)
        if delays and bits(data, picture, 1):
            bits(data, picture, 4)
