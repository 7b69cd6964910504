"""Training protocols that several phenomena share, as plain data. Light to import."""
