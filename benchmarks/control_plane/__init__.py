"""How fast the control plane is beside an idle run of itself: `python -m benchmarks.control_plane`."""
