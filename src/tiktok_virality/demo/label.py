"""The words on a clip: who made it, and that it is synthetic."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tiktok_virality.demo.clip_plan import ClipPlan

NOTICE: Final = "synthetic demo clip"
CREATOR_SIZE: Final = 0.030
NOTICE_SIZE: Final = 0.018
"""Heights of the letters, in picture heights."""
MARGIN: Final = 0.03
WHITE: Final = (255, 255, 255, 255)
SHADE: Final = (0, 0, 0, 110)


def write_label(plan: ClipPlan, path: Path) -> None:
    """Write a transparent PNG of the clip's size, with two lines on a dark bar at its foot."""
    from PIL import Image, ImageDraw, ImageFont

    unit = plan.height
    margin = round(MARGIN * unit)
    creator_font = ImageFont.load_default(CREATOR_SIZE * unit)
    notice_font = ImageFont.load_default(NOTICE_SIZE * unit)
    image = Image.new("RGBA", (plan.width, plan.height))
    draw = ImageDraw.Draw(image)
    top = round(plan.height - margin - (CREATOR_SIZE + NOTICE_SIZE) * 1.9 * unit)
    bar = (margin // 2, top, plan.width - margin // 2, plan.height - margin // 2)
    draw.rounded_rectangle(bar, radius=margin // 2, fill=SHADE)
    line = top + margin // 2
    draw.text((margin, line), f"@{plan.creator}", font=creator_font, fill=WHITE)
    line += round(CREATOR_SIZE * 1.4 * unit)
    draw.text((margin, line), NOTICE, font=notice_font, fill=WHITE)
    image.save(path)
