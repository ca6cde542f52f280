"""Block strings in timm's style, as ``Stage.text`` writes them, read back."""

from __future__ import annotations

import re

from search_spaces.arch import Stage
from search_spaces.errors import UserError
from search_spaces.kinds import KINDS

BLOCKS = {prefix: name for name, kind in KINDS.items() for prefix in (kind.prefix, kind.bare) if prefix}
UNEXPANDED = [kind.bare for kind in KINDS.values()]  # expansion 1, which timm's own strings leave out or contradict
FIELDS = {"k": "kernel", "s": "stride", "e": "expansion", "c": "channels", "r": "layers", "g": "groups"}
OPTION = re.compile(r"(se|[a-z])(\d+(?:\.\d+)?(?:e-?\d+)?)")


def stage_of(text: str) -> Stage:
    """The stage of a block string as ``ir_r2_k3_s2_e6_c24_se0.25``. Raises UserError that names what is wrong in it."""
    kind, *parts = text.split("_")
    if kind not in BLOCKS:
        raise UserError(f"block: {kind!r} of {text!r} is not one of {', '.join(BLOCKS)}")
    found: dict[str, int] = {"expansion": 1}
    se_ratio, skip = 0.0, kind != "cn"
    for part in parts:
        if part in ("skip", "noskip"):
            skip = part == "skip"
            continue
        match = OPTION.fullmatch(part)
        name, number = match.groups() if match else ("", "")
        if name == "se":
            se_ratio = float(number)
        elif name in FIELDS and number.isdigit():
            found[FIELDS[name]] = int(number)
        else:
            raise UserError(f"block: {part!r} of {text!r} is not understood")
    for letter, name in FIELDS.items():
        if name not in found and name != "groups":
            raise UserError(f"block: {text!r} does not say its {name} ({letter})")
    if kind in UNEXPANDED:
        found["expansion"] = 1
    return Stage(BLOCKS[kind], se_ratio=se_ratio, skip=skip, **found)
