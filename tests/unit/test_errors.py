"""Tests of the error classes."""

import pytest
from firebase_functions.https_fn import FunctionsErrorCode, HttpsError

from imagegen.api.generation_details import ChargedRequest
from imagegen.errors import ApiError, Code


@pytest.mark.parametrize("code", Code)
def test_codes_match_those_of_the_sdk(code: Code) -> None:
    error = HttpsError(FunctionsErrorCode(code.value), "message")
    assert error._http_error_code.status == code.http_status
    assert error._http_error_code.canonical_name == code.status


def test_replay_has_the_reason_and_the_details_of_its_error() -> None:
    for error in ApiError.__subclasses__():
        for replayed in error.__subclasses__():
            assert (replayed.reason, replayed.code) == (error.reason, Code.FAILED_PRECONDITION)
            assert replayed.facts.keys() == {*error.facts, "replayed"}


def test_errors_and_results_tell_a_charge_under_the_same_names() -> None:
    names = {info.alias for info in ChargedRequest.model_fields.values()}
    about_a_request = [error for error in ApiError.__subclasses__() if "cost" in error.facts]
    assert len(about_a_request) > 5
    assert all(names <= error.facts.keys() for error in about_a_request)


def test_each_reason_belongs_to_one_error() -> None:
    reasons = [error.reason for error in ApiError.__subclasses__()]
    assert len(set(reasons)) == len(reasons)
    assert all(reason == reason.upper() for reason in reasons)
