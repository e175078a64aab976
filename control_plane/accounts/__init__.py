"""People, accounts and what opens them: sign-up, passwords, sessions, keys, members, suspension, staff access."""
