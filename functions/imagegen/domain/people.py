"""The people behind accounts. Each person gets trial credits once, whatever accounts the person opens."""

from typing import NewType

from imagegen.dataclass import dataclass

Person = NewType("Person", str)
"""The key of a person: the kind of the identity and the identity, such as ``email:grace@example.com``."""


@dataclass(frozen=True)
class _Provider:
    """The rules of an e-mail provider that drops ``+`` and the text after it from the name of a mailbox.

    Addresses in all ``domains`` name the same mailboxes. ``ignored`` are characters that the provider ignores too.
    """

    domains: tuple[str, ...]
    ignored: str = ""


# As the providers document it. Most providers treat each of these addresses as another mailbox, perhaps another
# person's, so a rule must not be guessed. Do not change the result for an address that people use already: it would
# give them trial credits again.
_PROVIDERS = (
    _Provider(("gmail.com", "googlemail.com"), ignored="."),
    _Provider(("icloud.com", "me.com", "mac.com")),
    _Provider(("proton.me",), ignored=".-_"),
    _Provider(("protonmail.com",), ignored=".-_"),
    _Provider(("pm.me",), ignored=".-_"),
    _Provider(("fastmail.com",)),
    _Provider(("fastmail.fm",)),
    _Provider(("outlook.com",)),
    _Provider(("hotmail.com",)),
    _Provider(("live.com",)),
    _Provider(("msn.com",)),
)
_BY_DOMAIN = {domain: provider for provider in _PROVIDERS for domain in provider.domains}


def by_email(address: str) -> Person:
    """Return the person who owns a verified e-mail address."""
    name, _, domain = address.strip().casefold().rpartition("@")
    if provider := _BY_DOMAIN.get(domain):
        mailbox = name.partition("+")[0].translate(str.maketrans("", "", provider.ignored))
        name, domain = mailbox or name, provider.domains[0]
    return Person(f"email:{name}@{domain}")


def by_phone(number: str) -> Person:
    """Return the person who owns a phone number. Firebase verifies each number, and stores it in E.164 format."""
    return Person(f"phone:{number}")


def by_user_id(user_id: str) -> Person:
    """Return the person of an account whose owner is not known otherwise. Another account is another person."""
    return Person(f"user:{user_id}")
