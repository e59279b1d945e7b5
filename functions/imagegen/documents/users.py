"""Conversion of users' documents for a search, which shows each of them."""

from datetime import datetime

from imagegen.documents.accounts import account_of
from imagegen.documents.fields import Unreadable
from imagegen.domain.users import FoundUser
from imagegen.ports.database import Snapshot


def found_user_of(user: Snapshot) -> FoundUser:
    """Return the profile of a user, and the balance unless it cannot be read."""
    email, name, created_at = (user.data.get(field) for field in ("email", "displayName", "createdAt"))
    credits, unreadable_field = None, None
    try:
        credits = account_of(user).wallet.credits
    except Unreadable as error:
        unreadable_field = error.field
    return FoundUser(
        id=user.id,
        email=email if isinstance(email, str) else None,
        display_name=name if isinstance(name, str) else None,
        created_at=created_at if isinstance(created_at, datetime) else None,
        credits=credits,
        unreadable_field=unreadable_field,
    )
