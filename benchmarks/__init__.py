"""Load and measurement. Shares no code with the server: what is measured must not judge itself."""
