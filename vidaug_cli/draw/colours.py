"""The colours of pictures: blue and orange of Okabe and Ito's palette, which colour-blind readers tell apart."""

from __future__ import annotations

Colour = tuple[int, int, int]

OWN: Colour = (0, 114, 178)
PARTNER: Colour = (230, 159, 0)
INK: Colour = (20, 20, 20)
FAINT: Colour = (100, 100, 100)
PAPER: Colour = (255, 255, 255)
