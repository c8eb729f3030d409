"""Names that would lead out of a folder where somebody took them for paths: more than 200."""

from itertools import product

_STEPS = [
    "../",
    "..\\",
    "..%2f",
    "%2e%2e/",
    "%2e%2e%2f",
    "%252e%252e%252f",
    "..%c0%af",
    "..%ef%bc%8f",
    "....//",
    "..;/",
]
_STEPS += ["．．/", "‥/", "..∕", "..／", ".%00./", "..%5c", "%uff0e%uff0e/", "..%0d/", "..\t/", "./../"]
_TARGETS = ["etc/passwd", "secret", "blobs/x", "x.png"]
_ALONE = [
    "..", ".", "", "/", "//", "\\", "~", "~root", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "C:\\boot.ini",
    "C:secret", "\\\\server\\share\\x", "\\\\?\\C:\\x", "//server/share/x", "file:///etc/passwd", "file:secret",
    "http://evil.example/", "secret%00", "secret%00.png", "secret\0.png", "con", "nul", "aux.txt", "secret.",
    ".git/config", ".env", "proc/self/environ", "/proc/self/environ", "/dev/zero", "$HOME/secret", "`id`", "$(id)",
    "|id", ";id", "*", "?", "a" * 5000, "a/" * 2000, "\u202etxt.exe", "\ufeffsecret",
]  # fmt: skip
NAMES = [step * depth + target for step, depth, target in product(_STEPS, (1, 3), _TARGETS)] + _ALONE
assert len(set(NAMES)) >= 200
