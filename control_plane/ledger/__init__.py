"""The journal: append-only double entry. Everything that has to do with money is posted here, and only here."""
