"""Make `vidaug_cli/draw/NotoSans.ttf` anew: the letters of Noto Sans that names in Latin, Greek and Cyrillic have.

    pip install fontpkg-noto-sans==2.15 fonttools
    python tools/make_font.py

The whole family has 2 MB, as one font for all weights; what is kept here has a tenth of it. Its licence, the SIL Open
Font License, lies beside it.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

DRAW = Path(__file__).parents[1] / "vidaug_cli" / "draw"
KEPT = (
    range(0x0020, 0x0250),  # Latin
    range(0x02B0, 0x0530),  # marks, Greek, Cyrillic
    range(0x1E00, 0x2000),  # more of Latin and Greek, such as Vietnamese
    range(0x2010, 0x2070),  # punctuation
    range(0x20A0, 0x20C0),  # currencies
    (0x2122, 0x2212),  # trade mark, minus
)


def main() -> None:
    package = files("fontpkg_noto_sans")
    font = TTFont(str(package / "files" / "NotoSans[wdth,wght].ttf"))
    font = instantiateVariableFont(font, {"wght": 400, "wdth": 100})
    options = Options(
        hinting=False, notdef_outline=True, layout_features=["kern", "mark", "mkmk", "ccmp", "locl"], name_IDs=["*"]
    )
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=[code for codes in KEPT for code in codes])
    subsetter.subset(font)
    font["head"].modified = font["head"].created  # the same bytes each time
    font.recalcTimestamp = False
    font.save(DRAW / "NotoSans.ttf")
    (DRAW / "NotoSans-OFL.txt").write_bytes((package / "LICENSE").read_bytes())


if __name__ == "__main__":
    main()
