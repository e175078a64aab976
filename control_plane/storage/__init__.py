"""Where the control plane keeps its rows: SQLite by default, PostgreSQL by one setting."""
