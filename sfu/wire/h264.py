"""H.264 payloads (RFC 6184) as far as forwarding needs them: where a key frame begins, and its size. Dual source.

A key frame is known by its sequence parameter set, not by the IDR slice behind it: WebRTC sends the parameter sets
in-band before each (RFC 7742 section 6.2), and a viewer who starts at the slice could not decode it.
"""

import cython
from cython.cimports.sfu.wire.octets import get16
from cython.cimports.sfu.wire.picture import begin, bits, clear, golomb, sized

SEQUENCE_PARAMETER_SET = cython.declare(cython.int, 7)
STAP_A = cython.declare(cython.int, 24)
FU_A = cython.declare(cython.int, 28)


def parse(data, size, picture):
    """Fill `picture` from a payload; 0, or -1 when it is cut short."""
    at: cython.int = 1
    length: cython.int
    clear(picture)
    if size < 1 or (size < 2 and data[0] & 31 == FU_A):
        return -1
    if data[0] & 31 == FU_A:
        # A parameter set in pieces: the size is left unknown, since half of it may lie in the next packet.
        picture.key_frame = 1 if data[1] & 128 and data[1] & 31 == SEQUENCE_PARAMETER_SET else 0
        return 0
    if data[0] & 31 != STAP_A:
        read_unit(data, 0, size, picture)
        return 0
    while at < size:
        if at + 2 > size:
            return -1
        length = get16(data, at)
        at += 2
        if length == 0 or at + length > size:
            return -1
        read_unit(data, at, at + length, picture)
        at += length
    return 0


def read_unit(data, at, end, picture):
    """One whole NAL unit: the first sequence parameter set makes the packet the first of a key frame."""
    if data[at] & 31 != SEQUENCE_PARAMETER_SET or picture.key_frame:
        return
    picture.key_frame = 1
    begin(picture, at + 1, end, 1)
    read_size(data, picture)


def read_chroma(data, picture):
    """The parts that only high profiles have; chroma_format_idc, 1 = 4:2:0, or -1 for one with scaling matrices."""
    profile: cython.int = bits(data, picture, 8)
    chroma: cython.int = 1
    bits(data, picture, 16)  # constraints and level
    golomb(data, picture)  # seq_parameter_set_id
    if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135):
        chroma = golomb(data, picture)
        if chroma == 3:
            bits(data, picture, 1)
        golomb(data, picture)  # bit depths
        golomb(data, picture)
        bits(data, picture, 1)
        if bits(data, picture, 1):
            return -1
    return chroma


def read_size(data, picture):
    """The size from a sequence parameter set (H.264 7.3.2.1.1); left unknown where it is not 4:2:0."""
    _i: cython.int
    order: cython.int
    cycle: cython.longlong
    width: cython.longlong
    height: cython.longlong
    frames: cython.int
    if read_chroma(data, picture) != 1:
        return
    golomb(data, picture)  # log2_max_frame_num_minus4
    order = golomb(data, picture)
    if order == 0:
        golomb(data, picture)
    elif order == 1:
        bits(data, picture, 1)
        golomb(data, picture)
        golomb(data, picture)
        cycle = golomb(data, picture)
        if cycle > 255:
            return
        for _i in range(cycle):
            golomb(data, picture)
    golomb(data, picture)  # max_num_ref_frames
    bits(data, picture, 1)
    width = 16 * (golomb(data, picture) + 1)
    height = golomb(data, picture) + 1
    frames = bits(data, picture, 1)
    height *= 16 * (2 - frames)
    if not frames:
        bits(data, picture, 1)
    bits(data, picture, 1)  # direct_8x8_inference_flag
    if bits(data, picture, 1):
        width -= 2 * (golomb(data, picture) + golomb(data, picture))
        height -= 2 * (2 - frames) * (golomb(data, picture) + golomb(data, picture))
    sized(picture, width, height)
