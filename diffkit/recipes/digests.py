"""The files that ship, by their SHA-256. Written by benchmarks/retrain.py."""

DIGESTS: dict[str, str] = {}
