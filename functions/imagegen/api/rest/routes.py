"""The routes of the REST API. The docstring of each operation is published as the description of its route."""

from typing import Any

from imagegen.api.accounts import grant_credits
from imagegen.api.catalog import get_catalog
from imagegen.api.operation import Operation
from imagegen.api.purchases import create_purchase, get_purchase, reconcile_purchase
from imagegen.api.rest.credits import get_balance, list_transactions
from imagegen.api.rest.generations import create_generation, list_generations
from imagegen.api.rest.purchases import list_purchase_page
from imagegen.api.stored_generations import cancel_generation_request, get_generation_request, replace_image_urls
from imagegen.dataclass import dataclass


@dataclass(frozen=True)
class Route:
    """An HTTP method and a path of the REST API, and the operation that handles them.

    The fields of the operation's request are in the path, and otherwise in the query of a GET or the JSON body of a
    POST. ``location`` is the URL of what the call created, relative to the called URL.
    """

    method: str
    path: str
    operation: Operation[Any, Any]
    location: str | None = None


ROUTES = (
    Route("POST", "/v1/generations", create_generation, location="generations/{generation_request_id}"),
    Route("GET", "/v1/generations", list_generations),
    Route("GET", "/v1/generations/<generation_request_id>", get_generation_request),
    Route("POST", "/v1/generations/<generation_request_id>/cancel", cancel_generation_request),
    Route("POST", "/v1/generations/<generation_request_id>/replace-image-urls", replace_image_urls),
    Route("GET", "/v1/credits/balance", get_balance),
    Route("GET", "/v1/credits/transactions", list_transactions),
    Route("POST", "/v1/credits/grants", grant_credits),
    Route("GET", "/v1/catalog", get_catalog),
    Route("POST", "/v1/purchases", create_purchase, location="purchases/{purchase_id}"),
    Route("GET", "/v1/purchases", list_purchase_page),
    Route("GET", "/v1/purchases/<purchase_id>", get_purchase),
    Route("POST", "/v1/purchases/<purchase_id>/reconcile", reconcile_purchase),
)
