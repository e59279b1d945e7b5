"""Tests of the persons behind e-mail addresses: aliases of one mailbox are one person, other addresses are not."""

import pytest

from imagegen.domain.people import by_email, by_user_id

ALIASES = [
    ("grace@example.com", ["Grace@Example.com", " GRACE@EXAMPLE.COM "]),
    (
        "gracehopper@gmail.com",
        ["Grace.Hopper@gmail.com", "g.r.a.c.e.hopper+2@GoogleMail.com", "gracehopper+@gmail.com"],
    ),
    ("grace.hopper@outlook.com", ["grace.hopper+2@outlook.com", "Grace.Hopper+a+b@Outlook.com"]),
    ("grace@hotmail.com", ["grace+2@hotmail.com"]),
    ("grace@live.com", ["grace+2@live.com"]),
    ("grace@msn.com", ["grace+2@msn.com"]),
    ("grace@icloud.com", ["grace+2@icloud.com", "grace@me.com", "grace+3@mac.com"]),
    ("gracehopper@proton.me", ["grace.hopper@proton.me", "grace-hopper+2@proton.me", "grace_hopper@proton.me"]),
    ("grace@fastmail.com", ["grace+2@fastmail.com"]),
    ("straße@example.com", ["STRASSE@example.com"]),
]

OTHERS = [
    ("grace@example.com", "grace+2@example.com"),  # perhaps two mailboxes
    ("grace@example.com", "gr.ace@example.com"),
    ("grace@example.com", "grace@example.org"),
    ("grace.hopper@outlook.com", "gracehopper@outlook.com"),
    ("grace@outlook.com", "grace@hotmail.com"),
    ("grace@gmail.com", "grace@mail.gmail.com"),
    ("grace@gmail.com", "grace@notgmail.com"),
    ("grace-hopper@gmail.com", "gracehopper@gmail.com"),
    ("grace.hopper@icloud.com", "gracehopper@icloud.com"),
    ("+1@gmail.com", "+2@gmail.com"),  # without a name of a mailbox, nothing is dropped
]


@pytest.mark.parametrize(("address", "aliases"), ALIASES)
def test_aliases_are_one_person(address: str, aliases: list[str]) -> None:
    assert {by_email(alias) for alias in aliases} == {by_email(address)}


@pytest.mark.parametrize(("address", "other"), OTHERS)
def test_addresses_of_other_mailboxes_are_other_persons(address: str, other: str) -> None:
    assert by_email(address) != by_email(other)


def test_user_id_is_never_the_person_of_an_address() -> None:
    assert by_user_id("email:grace@example.com") != by_email("grace@example.com")
