"""Plans the requests of the sample users in eight weeks from `seed/*.json`. The plan is the same on every run."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from math import exp
from typing import Any

from imagegen.adapters.generators.mock import MockOptions
from imagegen.api import fingerprints
from imagegen.domain.catalog import Catalog, Color, Kind, Model, Size, Style
from imagegen.domain.generation import Fingerprint, Order
from imagegen.domain.weeks import Week
from tools.catalog import options
from tools.emulators.project import ROOT

SOURCES = ROOT / "seed"


@dataclass(frozen=True)
class PlannedRequest:
    """A request at a time. Its model either always succeeds or always fails, and takes a fixed time."""

    at: datetime
    order: Order

    @property
    def mock(self) -> MockOptions:
        return MockOptions.model_validate(self.order.model.provider_options)

    @property
    def fails(self) -> bool:
        return self.mock.failure_rate == 1


def source(name: str) -> Any:
    """Return the contents of `seed/NAME.json`."""
    return json.loads((SOURCES / f"{name}.json").read_text("utf-8"))


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the path and the data of each document of the catalog, as `make catalog` writes them."""
    return options()


def catalog() -> Catalog:
    """Return the catalog as the backend reads it."""
    listed = source("catalog")
    return Catalog(
        models=[Model.model_validate(option) for option in listed["models"]],
        styles=[Style.model_validate(option) for option in listed["styles"]],
        colors=[Color.model_validate(option) for option in listed["colors"]],
        sizes=[Size.model_validate(option) for option in listed["sizes"]],
    )


def weeks() -> list[Week]:
    """Return the weeks that have requests, oldest first."""
    first, last = (Week.parse(source("history")[name]) for name in ("firstWeek", "lastWeek"))
    return [first + number for number in range((last.monday - first.monday).days // 7 + 1)]


def plan() -> list[PlannedRequest]:
    """Return all requests of the eight weeks, oldest first."""
    settings = source("history")
    rng = random.Random(settings["randomSeed"])
    options = catalog()
    planned = [
        PlannedRequest(at, _order(rng, settings, options, user["id"], at))
        for week in weeks()
        for number, day in enumerate(week.days)
        for user in source("users")["users"]
        for at in _moments(rng, settings, user, day, number)
    ]
    return sorted(planned, key=lambda request: request.at)


def _moments(
    rng: random.Random, settings: Mapping[str, Any], user: Mapping[str, Any], day: str, weekday: int
) -> list[datetime]:
    mean = user.get("requestsPerWeek", 0) / 7 * settings["weekdays"][weekday]
    spike = settings["spike"]
    if (user["id"], day) == (spike["user"], spike["day"]):
        mean *= spike["factor"]
    midnight = datetime.combine(datetime.fromisoformat(day), time(), UTC)
    hours = settings["hours"]
    return [
        midnight + timedelta(seconds=rng.randrange(hours["from"] * 3600, hours["to"] * 3600))
        for _ in range(_poisson(rng, mean))
    ]


def _poisson(rng: random.Random, mean: float) -> int:
    """Draw a Poisson count by Knuth's product method, which suits small means."""
    limit, product, count = exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def _order(rng: random.Random, settings: Mapping[str, Any], options: Catalog, user_id: str, at: datetime) -> Order:
    def pick(kind: Kind) -> Any:
        weights = settings["weights"][kind.value]
        [name] = rng.choices(list(weights), list(weights.values()))
        return options.choose(kind, name)

    model, style, color, size = (pick(kind) for kind in Kind)
    burst = settings["burst"]
    in_burst = (model.name, str(at.date())) == (burst["model"], burst["day"])
    fails = rng.random() < (burst["failureRate"] if in_burst else settings["failureRate"])
    seconds = round(rng.uniform(settings["processingSeconds"]["from"], settings["processingSeconds"]["to"]), 3)
    prompt = rng.choice(settings["prompts"])
    named = {"model": model.name, "style": style.name, "color": color.name, "size": size.name}
    return Order(
        user_id=user_id,
        model=model.model_copy(update={"failureRate": float(fails), "latencySeconds": seconds}),
        style=style,
        color=color,
        size=size,
        prompt=prompt,
        fingerprint=Fingerprint(fingerprints.sent({"userId": user_id, **named, "prompt": prompt})),
    )
