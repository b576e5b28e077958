"""The files that ship, by their SHA-256. Written by benchmarks/retrain.py."""

DIGESTS: dict[str, str] = {
    "moons": "c9f53a0654cc5864fc98d236cf761d32346b0fecbac50bc2fddc83098ad922cd",
}
