"""The pages: server-rendered HTML over the same services and the same door as the API. They work without JavaScript."""

from control_plane.pages.router import area

__all__ = ["area"]
