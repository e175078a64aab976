"""The control plane: accounts, legal texts, rooms and money, as a process of its own beside the media server."""
