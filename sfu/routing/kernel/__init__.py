"""The compiled kernel: moves packets on a thread that never holds the GIL.

    receive (udp.pyx) -> classify (step.pyx) -> open (srtp.pyx) -> keep in the layer's ring (step.pyx)
      -> forward.py: for each route of the layer: select.py, rewrite.py -> pacer.pyx -> seal -> send (udp.pyx)

`forward`, `select`, `rewrite` and `rank` are dual source: plain Python beside a `.pxd`, compiled in the
product, run as they stand in tests. The rest is Cython and one C header.
"""
