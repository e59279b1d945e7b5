"""The search for users."""

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field

from imagegen.api import page_tokens
from imagegen.api.auth import Access
from imagegen.api.fields import PAGE_SIZE_DEFAULT, PageSize, SearchText, is_document_id
from imagegen.api.operation import Call, operation
from imagegen.api.requests import Request, example
from imagegen.api.responses import NEXT_PAGE, Number, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain.api_keys import Scope

if TYPE_CHECKING:  # imported on first use
    from imagegen.domain.users import FoundUser
    from imagegen.services.users import Place


def _place(position: list[Any]) -> "Place":
    """Return the place in a search from a decoded position. Raises ValueError."""
    from imagegen.services.users import Place

    match position:
        case [int(search)]:
            return Place(search)
        case [int(search), str(value), str(id)] if is_document_id(id):
            return Place(search, (value, id))
        case [0, int(), str()]:
            return Place(0, page_tokens.moment_and_id(position[1:]))
    raise ValueError("not a position in a list of users")


_USERS_QUERY = ("query",)


class FindUsers(Request):
    model_config = example(query="ada", pageSize=20)

    query: SearchText = Field(
        default="",
        description="A user's id, or the beginning of an e-mail address or display name. Capitals make no difference. "
        "Without it, you get all users, newest first.",
    )
    page_size: PageSize = PAGE_SIZE_DEFAULT
    place: Annotated[Any, page_tokens.position(_place, *_USERS_QUERY), page_tokens.TOKEN_SCHEMA] = Field(
        default=None, alias="pageToken"
    )

    def token(self, place: "Place") -> str:
        """Return the token of the page that starts at ``place``."""
        position: list[int | str] = [place.search]
        if place.after is not None:
            value, user_id = place.after
            position += [value if isinstance(value, str) else page_tokens.moment(value), user_id]
        return page_tokens.encode({"query": self.query}, *position)


class UserFound(Response):
    """A user. One whose document cannot be read has no credits, but ``unreadableField``."""

    user_id: str
    email: str | None
    display_name: str | None
    created_at: Time | None
    current_credits: Number | None
    trial_credits: Number | None
    paid_credits: Number | None
    unreadable_field: str | None = Field(description="The field that is missing or not valid, if there is one.")

    @classmethod
    def of(cls, user: "FoundUser") -> Self:
        credits = user.credits
        return cls(
            user_id=user.id,
            email=user.email,
            display_name=user.display_name,
            created_at=user.created_at,
            current_credits=credits and credits.total,
            trial_credits=credits and credits.trial,
            paid_credits=credits and credits.paid,
            unreadable_field=user.unreadable_field,
        )


class UserList(Response):
    users: list[UserFound]
    next_page_token: str | None = Field(description=NEXT_PAGE)


@operation(access=Access.ADMIN, scope=Scope.READ)
def find_users(backend: Backend, call: Call[FindUsers]) -> UserList:
    """Returns a page of the users that match, with their balances: by id, e-mail address or display name.

    A page may have fewer users than its size although another one follows.
    """
    params, search = call.params, backend.user_search
    if params.query:
        user_id = params.query if is_document_id(params.query) else None
        found = search.matching(params.query, user_id, params.page_size, params.place)
    else:
        found = search.newest(params.page_size, params.place)
    return UserList(
        users=[UserFound.of(user) for user in found.users],
        next_page_token=found.next and params.token(found.next),
    )
