"""Where packets go. Theory of operation:

1. Python, on the event loop, decides and says what it wants by commands (`commands.py`), which the kernel
   thread applies in order between two bursts. The kernel is the only writer of every table.
2. The kernel receives a burst, opens each packet into the ring of its layer, and sends it on each route of
   that layer: select, rewrite, seal, send. No Python object is made for a packet.
3. What the kernel does not decide it hands up as events; `router.py` answers with commands and with
   events for the node. Every event carries (row, generation); a stale one is dropped and counted.
4. A row is free again only after the kernel's RETIRED event for it.
"""
