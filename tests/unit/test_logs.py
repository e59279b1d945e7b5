"""What is private never reaches the log, however a message quotes it; all else does."""

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
@pytest.mark.parametrize("prompt", [prompt for prompt in PROMPTS if len(prompt) >= logs.SHORTEST_PRIVATE])
def test_a_private_text_is_taken_out_however_it_is_quoted(prompt: str, quoted: str) -> None:
    message, around = QUOTED[quoted](prompt), QUOTED[quoted]("")

    with private(prompt):
        left = redacted(message)

    assert left.count(REDACTED) == 1
    assert letters(left.replace(REDACTED, "")) == letters(around)


def letters(text: str) -> str:
    """What is left without quotes, which depend on what stands between them."""
    return re.sub(r"\W", "", text)


def test_what_is_not_private_stays() -> None:
    message = "users/user-100: 'x' is no amount of credits, C:\\temp, 3.5 % of {}"
    with private("a lighthouse", None, "", "of"):  # two letters are in too many words
        assert redacted(message) == message


def test_the_longest_text_is_taken_out_first() -> None:
    with private("fox", "a fox in snow"):
        assert redacted("a fox in snow, a fox") == f"{REDACTED}, a {REDACTED}"


def test_nothing_is_private_any_more_after_its_block() -> None:
    with private("a fox"):
        with private("in snow"):
            assert redacted("a fox in snow") == f"{REDACTED} {REDACTED}"
        assert redacted("a fox in snow") == f"{REDACTED} in snow"
    with pytest.raises(ZeroDivisionError), private("a fox"):
        raise ZeroDivisionError
    assert redacted("a fox in snow") == "a fox in snow"


def test_calls_at_the_same_time_have_their_own_private_texts() -> None:
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
def test_a_token_and_its_parts_are_taken_out_whether_known_or_not(shown: str, known: bool) -> None:
    with private(*secrets_of(f"Bearer {TOKEN}" if known else None)):
        logged = redacted(f"Error validating token: {shown}!")
    assert not any(part in logged for part in TOKEN.split(".") if part)
    assert logged.startswith("Error validating token: ")
    assert logged.endswith("!")


@pytest.mark.parametrize(
    "said", [b"{user-100, 'Grace'", b"\xff\xfe user \x00", "Füchslein {".encode(), b'{"a": "it\'s"', b'"\\" user']
)
def test_what_a_token_says_is_taken_out_too(said: bytes) -> None:
    with private(*secrets_of(f"Bearer e30.{encoded(said)}.x")):
        assert redacted(f"Can't parse segment: {said!r}") in {
            f"Can't parse segment: b'{REDACTED}'",
            f'Can\'t parse segment: b"{REDACTED}"',
        }


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Bearer é.ü", "Bearer a.b.c", "Basic dXNlcg==", "=.=.="])
def test_any_header_can_be_made_private(header: str | None) -> None:
    with private(*secrets_of(header)):
        assert redacted("all is well") == "all is well"


@pytest.mark.parametrize(
    "address", ["grace@example.com", "g.hopper+x%y@mail.example.co.uk", "grüße@exämple.de", "grace%40example.com"]
)
def test_an_email_address_is_taken_out_wherever_it_comes_from(address: str) -> None:
    assert redacted(f"<{address}> is there") == f"<{REDACTED}> is there"


def test_a_traceback_is_part_of_the_message_and_redacted(capfd: pytest.CaptureFixture[str]) -> None:
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


def test_fields_stand_beside_the_message(capfd: pytest.CaptureFixture[str]) -> None:
    line = logged(capfd, "something", event="E", alerts=[{"credits": 5}], severity="DEBUG")
    assert line == {"severity": "WARNING", "message": "something", "event": "E", "alerts": [{"credits": 5}]}


def test_fields_are_redacted_as_the_message_is(capfd: pytest.CaptureFixture[str]) -> None:
    with logs.private("a secret prompt"):
        line = logged(capfd, "of ann@example.com", alerts=[{"message": "a secret prompt of ann@example.com", "n": 1}])
    assert line["message"] == "of [redacted]"
    assert line["alerts"] == [{"message": "[redacted] of [redacted]", "n": 1}]
