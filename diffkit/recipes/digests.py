"""The files that ship, by their SHA-256. Written by benchmarks/retrain.py."""

DIGESTS: dict[str, str] = {
    "digits": "fd251484a98904a7117b7929803051fd6d79586a29f388b149ae827df393a696",
    "moons": "9067c20ce78b2abe5bd28acbc56ca736fc0f54bc71aa15c1147ceb04786326c8",
}
