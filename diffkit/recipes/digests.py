"""The files that ship, by their SHA-256. Written by benchmarks/retrain.py."""

DIGESTS: dict[str, str] = {
    "digits": "fd251484a98904a7117b7929803051fd6d79586a29f388b149ae827df393a696",
    "moons": "c9f53a0654cc5864fc98d236cf761d32346b0fecbac50bc2fddc83098ad922cd",
}
