"""`model/` and GGUF made again from anchor and adapter, and held against their hashes."""
