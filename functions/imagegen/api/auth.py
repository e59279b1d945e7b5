"""Authentication of callers and access to operations."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Self, TypeVar

from werkzeug.datastructures import Headers

from imagegen import settings
from imagegen.dataclass import dataclass
from imagegen.deadlines import DeadlineExceeded, Deadlines
from imagegen.domain import people
from imagegen.domain.api_keys import PREFIX, ApiKey, Scope, is_well_formed
from imagegen.domain.people import Person
from imagegen.errors import (
    EmailNotVerified,
    PermissionDenied,
    ScopeMissing,
    ServiceUnavailable,
    Unauthenticated,
)
from imagegen.ports.database import DatabaseUnavailable
from imagegen.settings import AccountsWithoutEmail

if TYPE_CHECKING:
    from firebase_admin.auth import UserRecord

CHECK_SECONDS = 10.0
"""The time to check the App Check token of a call, and again to check its ID token and to look up its account."""

UNCHECKED = "Your token could not be checked. Nothing was changed. Try again."

T = TypeVar("T")

_deadlines = Deadlines()


def _no_key(_secret: str) -> None:
    """Find no API key."""


@dataclass(frozen=True)
class Caller:
    """The caller. ``uid`` is None for anonymous calls, which are accepted only where REQUIRE_AUTH is off."""

    uid: str | None = None
    is_admin: bool = False
    display_name: str | None = None
    email: str | None = None
    email_verified: bool = False
    phone_number: str | None = None
    api_key: ApiKey | None = None

    @classmethod
    def of(
        cls, headers: Headers, admit: Callable[[str], None], find_key: Callable[[str], ApiKey | None] = _no_key
    ) -> Self:
        """Return the caller that the call's ID token or API key identifies, as the account is now.

        ``admit`` is called with the uid before the account is looked up. It raises RateLimited. ``find_key`` returns
        the active API key of a secret. A call with an API key comes from a server, so it needs no App Check token.

        Raises AppCheckRequired, Unauthenticated and RateLimited, and ServiceUnavailable if the token, the key or the
        account cannot be looked up.
        """
        secret = _api_key_in(headers)
        if secret is not None:
            key, account = _in_time(lambda: _owner_of(secret, admit, find_key))
            return cls._of_account(account, key)
        if settings.app_check_enforced():
            from imagegen.api import tokens

            app_token = headers.get("X-Firebase-AppCheck")
            _in_time(lambda: tokens.check_app(app_token))
        authorization = headers.get("Authorization")
        if authorization is None:
            if settings.auth_required():
                raise Unauthenticated("Sign in first. This call needs a Firebase ID token.")
            return cls()

        from imagegen.api import tokens  # imports the Admin SDK, which only calls with a token need

        def checked() -> "UserRecord":
            claims = tokens.claims_of(authorization)
            admit(claims["sub"])
            return tokens.account_of(claims)

        return cls._of_account(_in_time(checked))

    @classmethod
    def _of_account(cls, account: "UserRecord", api_key: ApiKey | None = None) -> Self:
        return cls(
            uid=account.uid,
            is_admin=(account.custom_claims or {}).get("admin") is True,
            display_name=account.display_name,
            email=account.email,
            email_verified=account.email_verified is True,
            phone_number=account.phone_number,
            api_key=api_key,
        )

    @property
    def profile(self) -> Mapping[str, str]:
        """The fields that a new account takes over."""
        profile = {"displayName": self.display_name, "email": self.email}
        return {name: value for name, value in profile.items() if value}

    def person(self, user_id: str) -> Person | None:
        """Return the person who gets the trial credits of ``user_id``, or None if the person is not known yet.

        Where REQUIRE_AUTH is off, each user is a person.
        """
        if not settings.auth_required():
            return people.by_user_id(user_id)
        return self._verified_person

    @property
    def _verified_person(self) -> Person | None:
        """The verified owner of the account, or None. ACCOUNTS_WITHOUT_EMAIL says which accounts need no address."""
        if self.email and self.email_verified:
            return people.by_email(self.email)
        accepted = settings.accounts_without_email()
        if self.phone_number and accepted is not AccountsWithoutEmail.NONE:
            return people.by_phone(self.phone_number)
        if self.uid and not self.email and accepted is AccountsWithoutEmail.ALL:
            return people.by_user_id(self.uid)
        return None

    def check_scope(self, scope: Scope | None) -> None:
        """Raise ScopeMissing if the caller has an API key without ``scope``. Without a scope, no key may call."""
        if self.api_key is None or scope in self.api_key.scopes:
            return
        if scope is None:
            raise ScopeMissing("API keys cannot call this function. Sign in.")
        raise ScopeMissing(f"This call needs an API key with the scope {scope.value}.")

    def check_may_spend(self) -> None:
        """Raise EmailNotVerified if the caller needs a verified e-mail address or phone number and has none."""
        if self.uid is None or self._verified_person is not None:
            return
        if self.email:
            if not settings.verified_email_required():
                return
            remedy = "Verify your e-mail address"
        elif settings.accounts_without_email() is AccountsWithoutEmail.NONE:
            remedy = "Add an e-mail address to your account and verify it"
        else:
            remedy = "Add an e-mail address or a phone number to your account and verify it"
        raise EmailNotVerified(f"{remedy} to spend credits. Then call registerUser again for your trial credits.")


class Access(Enum):
    """The callers that may call an operation. The documentation shows the values.

    An anonymous caller, accepted only where REQUIRE_AUTH is off, can act as any owner, but not as an admin.
    """

    SIGNED_IN = "anyone signed in"
    OWNER = "the owner"
    OWNER_OR_ADMIN = "the owner or an admin"
    ADMIN = "an admin"

    def allows(self, caller: Caller, owner_id: str) -> bool:
        """Return whether ``caller`` may call for the data of the user ``owner_id``."""
        is_owner = caller.uid in (None, owner_id)
        match self:
            case Access.SIGNED_IN:
                return True
            case Access.OWNER:
                return is_owner
            case Access.OWNER_OR_ADMIN:
                return is_owner or caller.is_admin
            case Access.ADMIN:
                return caller.is_admin

    def check(self, caller: Caller, owner_id: str | None) -> None:
        """Raise PermissionDenied if ``caller`` may not call for ``owner_id``.

        ``owner_id`` is None in a call that does not name an owner.
        """
        if self is Access.ADMIN and not caller.is_admin:
            raise PermissionDenied("Only admins can call this function. An admin's account has the custom claim admin.")
        if owner_id is not None and not self.allows(caller, owner_id):
            raise PermissionDenied("You can act only for yourself. Send your own user id, or leave it out.")


def _in_time(check: Callable[[], T]) -> T:
    """Return what ``check`` returns. Raises ServiceUnavailable if it takes longer, or if too many others still do."""
    if _deadlines.is_full:
        raise ServiceUnavailable(UNCHECKED)
    try:
        return _deadlines.run(check, CHECK_SECONDS)
    except DeadlineExceeded as error:
        raise ServiceUnavailable(UNCHECKED) from error


def _api_key_in(headers: Headers) -> str | None:
    """Return the API key in the Authorization header, or None if there is something else."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" and token.startswith(PREFIX) else None


def _owner_of(
    secret: str, admit: Callable[[str], None], find_key: Callable[[str], ApiKey | None]
) -> tuple[ApiKey, "UserRecord"]:
    """Return an API key and the account of its owner. A malformed key is refused before anything is read.

    Raises Unauthenticated, RateLimited and ServiceUnavailable.
    """
    if not is_well_formed(secret):
        raise Unauthenticated("The API key is malformed. Copy the whole key.")
    from imagegen.api.tokens import active_account

    try:
        key = find_key(secret)
    except DatabaseUnavailable as error:
        raise ServiceUnavailable("Your API key could not be checked. Nothing was changed. Try again.") from error
    if key is None:
        raise Unauthenticated("The API key does not exist in this project, or was revoked.")
    admit(key.user_id)
    return key, active_account(key.user_id)
