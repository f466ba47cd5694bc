"""The words on a clip: what it says in writing, who made it, and that it is synthetic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tiktok_virality.demo.clip_plan import ClipPlan

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

NOTICE: Final = "synthetic demo clip"
CREATOR_SIZE: Final = 0.030
NOTICE_SIZE: Final = 0.018
"""Heights of the letters, in picture heights."""
MARGIN: Final = 0.03
WHITE: Final = (255, 255, 255, 255)
SHADE: Final = (0, 0, 0, 110)
INK: Final = (0, 0, 0, 255)
OUTLINE: Final = 0.09
LINE_STEP: Final = 1.35
"""Both in heights of the letters on screen."""
TEXT_ROOM: Final = (0.05, 0.86)
"""From where to where down the picture there may be words, in picture heights."""
TEXT_WIDTH: Final = 0.94
"""Of the picture's width, at most."""


def write_label(plan: ClipPlan, path: Path) -> None:
    """Write a transparent PNG of the clip's size, with its words and, at its foot, a label."""
    from PIL import Image, ImageDraw

    image = Image.new("RGBA", (plan.width, plan.height))
    draw = ImageDraw.Draw(image)
    if plan.screen_text:
        _write_words(draw, plan)
    _write_foot(draw, plan)
    image.save(path)


def _write_words(draw: ImageDraw.ImageDraw, plan: ClipPlan) -> None:
    """Write the words on screen, white with a dark outline as apps do, in the middle of a line."""
    lines = plan.screen_text.split("\n")
    size = plan.text_size * plan.height
    widest = max(_font(plan.font, size).getlength(line) for line in lines)
    size *= min(1.0, TEXT_WIDTH * plan.width / (widest + 2 * OUTLINE * size))
    top, foot = (edge * plan.height for edge in TEXT_ROOM)
    step = LINE_STEP * size
    first = top + plan.text_place * (foot - top - step * len(lines))
    for index, line in enumerate(lines):
        draw.text(
            (plan.width / 2, first + (index + 0.5) * step),
            line,
            font=_font(plan.font, size),
            anchor="mm",
            fill=WHITE,
            stroke_width=max(1, round(OUTLINE * size)),
            stroke_fill=INK,
        )


def _font(name: str, size: float) -> ImageFont.FreeTypeFont:
    """Return one of the fonts that matplotlib carries: the same on every machine."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(path, size)


def _write_foot(draw: ImageDraw.ImageDraw, plan: ClipPlan) -> None:
    """Write two lines on a dark bar."""
    from PIL import ImageFont

    unit = plan.height
    margin = round(MARGIN * unit)
    creator_font = ImageFont.load_default(CREATOR_SIZE * unit)
    notice_font = ImageFont.load_default(NOTICE_SIZE * unit)
    top = round(plan.height - margin - (CREATOR_SIZE + NOTICE_SIZE) * 1.9 * unit)
    bar = (margin // 2, top, plan.width - margin // 2, plan.height - margin // 2)
    draw.rounded_rectangle(bar, radius=margin // 2, fill=SHADE)
    line = top + margin // 2
    draw.text((margin, line), f"@{plan.creator}", font=creator_font, fill=WHITE)
    line += round(CREATOR_SIZE * 1.4 * unit)
    draw.text((margin, line), NOTICE, font=notice_font, fill=WHITE)
