"""Initializes the Firebase Admin SDK. Import this module before you call the SDK.

Its import takes a tenth of a cold start, so modules import it with their first call.
"""

import firebase_admin
from firebase_admin import _http_client

AUTH_TIMEOUT_SECONDS = 3
"""The timeout of each step of a call to Firebase Auth. CHECK_SECONDS limits all steps and retries together."""

# By default, the SDK's clients wait for as long as a Retry-After header says. There is no public setting.
_http_client.DEFAULT_RETRY_CONFIG.respect_retry_after_header = False

try:
    firebase_admin.get_app()
except ValueError:  # no tool or test has initialized it
    firebase_admin.initialize_app(options={"httpTimeout": AUTH_TIMEOUT_SECONDS})
