"""`make placeholders`: draws the images of the mock models into `hosting/models/`, with the provider canvas."""

from imagegen.adapters.generators.drawing import draw
from imagegen.services.images.encoding import QUALITY
from tools.emulators.project import ROOT

TARGET = ROOT / "hosting" / "models"
SIZE = 1024
PLACEHOLDERS = {
    "model-a": ("a lighthouse at dusk", "realistic", "vibrant", 1),
    "model-b": ("a city by the sea", "cyberpunk", "neon", 2),
}


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, (prompt, style, color, seed) in PLACEHOLDERS.items():
        draw(prompt, style, color, SIZE, SIZE, seed).save(TARGET / f"{name}.webp", quality=QUALITY)


if __name__ == "__main__":
    main()
