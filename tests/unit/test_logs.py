"""Tests of the log: private text is redacted in every quoting, and all other text is kept."""

import json
import logging
import re
import threading
from collections.abc import Callable
from contextvars import copy_context

import pytest

from imagegen.api import logs
from imagegen.api.logs import REDACTED, private, redacted, secrets_of
from tests.support.tokens import encoded, unsigned

PROMPTS = [
    "a lighthouse at dusk",
    "it's a fox",
    'a sign that says "open"',
    """it's a sign that says "open\"""",
    "two\nlines\tand a tab",
    "windows\r\nlines",
    "C:\\temp\\new",
    'ends in a backslash\\"quote',
    "Füchslein",
    "狐 in 雪",
    "a 🦊 in snow",
    "a family 👨‍👩‍👧",
    "(a|b)*[c]{2}.+?^$",
    "\\\\ \\' \\\" \\",
    "é",  # one character, three bytes escaped
]

QUOTED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "repr": repr,
    "ascii": ascii,
    "JSON": json.dumps,
    "JSON with other letters": lambda text: json.dumps(text, ensure_ascii=False),
    "bytes": lambda text: repr(text.encode()),
    "in a map": lambda text: repr({"prompt": text, "other": "it's"}),
    "in a message that is quoted": lambda text: repr(f"""no "such" prompt: '{text}'"""),
    "repr of repr": lambda text: repr(repr(text)),
    "JSON of JSON": lambda text: json.dumps(json.dumps({"prompt": text})),
    "repr of JSON": lambda text: repr(json.dumps(text)),
    "JSON of a map": lambda text: json.dumps(repr({"prompt": text})),
    "bytes of JSON": lambda text: repr(json.dumps(text).encode()),
    "in a group of exceptions": lambda text: text.replace("\n", "\n    | "),
}


@pytest.mark.parametrize("quoted", QUOTED)
@pytest.mark.parametrize("prompt", [prompt for prompt in PROMPTS if len(prompt) >= logs.PRIVATE_LENGTH_MIN])
def test_private_text_is_redacted_in_every_quoting(prompt: str, quoted: str) -> None:
    message, around = QUOTED[quoted](prompt), QUOTED[quoted]("")

    with private(prompt):
        left = redacted(message)

    assert left.count(REDACTED) == 1
    assert letters(left.replace(REDACTED, "")) == letters(around)


def letters(text: str) -> str:
    """Return the text without punctuation: the choice of quotes depends on the text between them."""
    return re.sub(r"\W", "", text)


def test_other_text_is_not_redacted() -> None:
    message = "users/user-100: 'x' is not an amount of credits, C:\\temp, 3.5 % of {}"
    with private("a lighthouse", None, "", "of"):  # two letters occur in too many words
        assert redacted(message) == message


def test_longest_private_text_is_redacted_first() -> None:
    with private("fox", "a fox in snow"):
        assert redacted("a fox in snow, a fox") == f"{REDACTED}, a {REDACTED}"


def test_text_is_private_only_inside_its_block() -> None:
    with private("a fox"):
        with private("in snow"):
            assert redacted("a fox in snow") == f"{REDACTED} {REDACTED}"
        assert redacted("a fox in snow") == f"{REDACTED} in snow"
    with pytest.raises(ZeroDivisionError), private("a fox"):
        raise ZeroDivisionError
    assert redacted("a fox in snow") == "a fox in snow"


def test_concurrent_calls_have_separate_private_texts() -> None:
    seen: list[str] = []

    def other_call() -> None:
        with private("in snow"):
            seen.append(redacted("a fox in snow"))

    with private("a fox"):
        thread = threading.Thread(target=other_call)
        thread.start()
        thread.join()
        within = copy_context()
    assert seen == [f"a fox {REDACTED}"]
    assert within.run(redacted, "a fox in snow") == f"{REDACTED} in snow"


TOKEN = unsigned({"sub": "user-100", "name": "Grace"})


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "shown", [TOKEN, TOKEN.rpartition(".")[0], *TOKEN.split(".")[:2], repr(TOKEN.encode()), f"Bearer {TOKEN}"]
)
def test_token_and_its_parts_are_redacted(shown: str, known: bool) -> None:
    with private(*secrets_of(f"Bearer {TOKEN}" if known else None)):
        logged = redacted(f"Error validating token: {shown}!")
    assert not any(part in logged for part in TOKEN.split(".") if part)
    assert logged.startswith("Error validating token: ")
    assert logged.endswith("!")


@pytest.mark.parametrize(
    "payload", [b"{user-100, 'Grace'", b"\xff\xfe user \x00", "Füchslein {".encode(), b'{"a": "it\'s"', b'"\\" user']
)
def test_claims_of_a_token_are_redacted(payload: bytes) -> None:
    with private(*secrets_of(f"Bearer e30.{encoded(payload)}.x")):
        assert redacted(f"Can't parse segment: {payload!r}") in {
            f"Can't parse segment: b'{REDACTED}'",
            f'Can\'t parse segment: b"{REDACTED}"',
        }


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Bearer é.ü", "Bearer a.b.c", "Basic dXNlcg==", "=.=.="])
def test_any_header_is_accepted_as_private(header: str | None) -> None:
    with private(*secrets_of(header)):
        assert redacted("all is well") == "all is well"


@pytest.mark.parametrize(
    "address", ["grace@example.com", "g.hopper+x%y@mail.example.co.uk", "grüße@exämple.de", "grace%40example.com"]
)
def test_email_address_is_redacted(address: str) -> None:
    assert redacted(f"<{address}> is there") == f"<{REDACTED}> is there"


def test_traceback_is_in_the_message_and_redacted(capfd: pytest.CaptureFixture[str]) -> None:
    handler, prompt = logs.StructuredHandler(), 'a fox\n"in snow"'
    log = logging.Logger("test")
    log.addHandler(handler)

    with private(prompt):
        try:
            raise ExceptionGroup("both", [ValueError(prompt), KeyError(prompt)])  # noqa: TRY301 - what is caught is the point
        except ExceptionGroup:
            log.exception("It crashed for grace@example.com")

    [line] = capfd.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["severity"] == "ERROR"
    assert entry["message"].startswith(f"It crashed for {REDACTED}\n")
    assert "ExceptionGroup: both" in entry["message"]
    assert f"ValueError: {REDACTED}" in entry["message"]
    assert f"KeyError: '{REDACTED}'" in entry["message"]
    assert "fox" not in line
    assert "in snow" not in line


@pytest.mark.parametrize(
    ("level", "severity"), [(5, "DEBUG"), (20, "INFO"), (25, "INFO"), (30, "WARNING"), (45, "ERROR"), (60, "CRITICAL")]
)
def test_every_level_has_a_severity(level: int, severity: str, capfd: pytest.CaptureFixture[str]) -> None:
    logs.StructuredHandler().handle(logging.LogRecord("test", level, __file__, 1, "a %s", ("fox",), None))
    [line] = "".join(capfd.readouterr()).splitlines()
    assert json.loads(line) == {"severity": severity, "message": "a fox"}


def logged(capfd: pytest.CaptureFixture[str], message: str, **fields: object) -> dict[str, object]:
    record = logging.LogRecord("imagegen", logging.WARNING, "", 0, message, (), None)
    record.json_fields = fields
    logs.StructuredHandler().emit(record)
    line: dict[str, object] = json.loads("".join(capfd.readouterr()).strip())
    return line


def test_fields_are_logged_beside_the_message(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, "something", event="E", alerts=[{"credits": 5}], severity="DEBUG")
    assert line == {"severity": "WARNING", "message": "something", "event": "E", "alerts": [{"credits": 5}]}


def test_fields_are_redacted(capfd: pytest.CaptureFixture[str]) -> None:
    with logs.private("a secret prompt"):
        line = logged(capfd, "of ann@example.com", alerts=[{"message": "a secret prompt of ann@example.com", "n": 1}])
    assert line["message"] == "of [redacted]"
    assert line["alerts"] == [{"message": "[redacted] of [redacted]", "n": 1}]
