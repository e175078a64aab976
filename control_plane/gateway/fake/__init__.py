"""The inside of the fake gateway, and the world around it: customers, issuers, a bad network."""
