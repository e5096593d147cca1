"""Records of the access log: append-only, hash-chained."""
