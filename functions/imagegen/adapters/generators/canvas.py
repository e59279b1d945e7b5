"""A provider that draws pictures on this machine, without a network. It shows how stored images work."""

import hashlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from imagegen.ports.image_generator import Job, Picture


class CanvasGenerator:
    """Draws a landscape. The same order always gives the same picture, and another ``seed`` another one."""

    def check(self, options: Mapping[str, Any]) -> None:
        """Accept all options."""

    def generate(self, job: Job) -> Picture:
        from imagegen.adapters.generators.drawing import draw

        seed = job.seed
        if seed is None:
            order = f"{job.prompt}\n{job.style}\n{job.color}\n{job.size}"
            seed = int.from_bytes(hashlib.sha256(order.encode()).digest()[:3], "big")
        drawn = draw(job.prompt, job.style, job.color, job.width, job.height, seed)
        buffer = BytesIO()
        drawn.save(buffer, "PNG", compress_level=1)
        return Picture(buffer.getvalue(), seed=seed)
