"""Presets: named layer lists, as data (no torch), a file for each source."""

from typing import Any

from ganlib.spec.presets.dcgan import DCGAN_PRESETS
from ganlib.spec.presets.semi_supervised import SEMI_SUPERVISED_PRESETS
from ganlib.spec.presets.winkler import WINKLER_PRESETS

PRESETS: dict[str, list[Any]] = {
    **WINKLER_PRESETS,
    **DCGAN_PRESETS,
    **SEMI_SUPERVISED_PRESETS,
}
