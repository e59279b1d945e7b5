"""Valid data for createGenerationRequest."""

ORDER = {
    "userId": "user",
    "model": "Model A",
    "style": "oil painting",
    "color": "neon",
    "size": "1024x1024",
    "prompt": "a lighthouse",
}


def order(**changes: object) -> dict[str, object]:
    return {**ORDER, **changes}
