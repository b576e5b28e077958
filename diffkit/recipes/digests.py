# ruff: noqa: E501
"""The files that ship, by their SHA-256. Written by benchmarks/retrain.py."""

DIGESTS: dict[str, str] = {
    "columns-far": "e59db1407629a9c779ecdb70af38f82b214d801f4245b1fafcaaa3ea14caa30d",
    "columns-near": "79a4480dc6e2583e901bc9767eb32a6ef190bcde375cf1a0b09f916ee8826d34",
    "columns-whole": "baabec57db281df64065ff7c37f92463f5456dbecdf1ef25aa0dc71e4275748c",
    "digits": "420e474e7e1502c1bd59ebe7f70e713d8018c9b0c4fdb6ffc9927c49b9672cfa",
    "lattice": "92536a2d8fba9cc9a0741f579dd4dbfeda9ec0881fa7b2f84dd380b25fb3ea4a",
    "lattice-turned": "1818edd0a689c7c78366a3eff662bf7271125d8e46994316cac208737c9f72ef",
    "modes": "a46c6987ebb6ac155436124621aedf38d779084f7205a310b6d56463be45e3ca",
    "modes-data": "c6a0b1e6ff899db0347b1d6c5a74f745a2422b84b6022ec3f7eb7acaedd3ac4d",
    "modes-early": "3af49510a379a7cc899410e6a6251acf47835101678f63565251ea984a9a496c",
    "modes-few": "077f42d832655495a2148acfd7efca9e151dd74c43acbcf002d03cd05bb6b521",
    "modes-gaps": "0e6f88fde88ecf759ffb43f5a34fba2bedc1d85e0f7788443ea0cd20fb6994a4",
    "modes-narrow": "b59e763d1efeb52323db02b11b3049e337e6b7d02bdb743d40ac81f3859816d5",
    "modes-v": "633960d73e8f754d21e84132b85ccdf5a8ba347ae37d8a7ef39b6bcaa5d0da60",
    "modes-wide": "a4b6a03b6c18f134acfe9d5083ecaba2172ea548129ff4af8a0e398091d749dc",
    "moons": "9067c20ce78b2abe5bd28acbc56ca736fc0f54bc71aa15c1147ceb04786326c8",
    "pairs4": "0c230a94bbadbe939408e7e41eb288327184e619f823423f1de4df0621894254",
    "pairs64": "6a5d90be44de37ae24dc0ea74d2eb31352b0b72875dcc3a1e84e51a508ca7568",
}
