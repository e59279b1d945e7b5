/** The errors that the console shows, and what to do about each. */

/** An error of the API, of Firebase Auth or of the connection. `message` is for people and says what to do. */
export class ApiError extends Error {
  /**
   * @param {string} reason the stable reason of the API, an `auth/…` code, or OFFLINE, TIMEOUT or UNEXPECTED
   * @param {string} message
   * @param {Record<string, any>} [details]
   */
  constructor(reason, message, details = {}) {
    super(message);
    this.reason = reason;
    this.details = details;
  }
}

/** @type {Record<string, string>} */
const AUTH_MESSAGES = {
  "auth/email-already-in-use": "There is an account with this e-mail address. Sign in instead.",
  "auth/invalid-credential": "The e-mail address or the password is wrong. Correct them, or create an account.",
  "auth/invalid-email": "This is not an e-mail address. Correct it.",
  "auth/missing-password": "The password is missing. Enter it.",
  "auth/network-request-failed": "Firebase Auth cannot be reached. Check your connection and try again.",
  "auth/operation-not-allowed": "Signing in with a password is turned off. The operator can turn it on in Firebase Auth.",
  "auth/too-many-requests": "Too many attempts. Wait a few minutes and try again.",
  "auth/user-disabled": "This account is disabled. Ask the operator.",
  "auth/user-not-found": "There is no account with this e-mail address. Create one.",
  "auth/user-token-expired": "Your session has ended. Sign in again.",
  "auth/weak-password": "The password is too short. Use six characters or more.",
  "auth/wrong-password": "The password is wrong. Correct it.",
};

/**
 * Return any thrown value as an ApiError.
 * @param {unknown} error
 * @returns {ApiError}
 */
export function asApiError(error) {
  if (error instanceof ApiError) return error;
  const { code, message } = /** @type {{code?: string, message?: string}} */ (error ?? {});
  if (code && code in AUTH_MESSAGES) return new ApiError(code, AUTH_MESSAGES[code]);
  if (code === "permission-denied") return new ApiError(code, "You may not read this. Sign in as its owner.");
  if (code === "unavailable") return new ApiError(code, "Firestore cannot be reached. Check your connection.");
  console.error(error);
  return new ApiError(code ?? "UNEXPECTED", message ?? "Something unexpected went wrong. Reload the page.");
}

/**
 * Return the sentence to add to an error's message, or the empty text if the message says it all.
 * @param {ApiError} error
 */
export function remedyOf(error) {
  const { retryAfterSeconds, correlationId } = error.details;
  if (error.reason === "INTERNAL" && correlationId) return `Report this id to the operator: ${correlationId}.`;
  if (typeof retryAfterSeconds === "number") return `Try again in ${wait(retryAfterSeconds)}.`;
  return "";
}

/** @param {number} seconds */
function wait(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.ceil(seconds))} seconds`;
  if (seconds < 5400) return `${Math.ceil(seconds / 60)} minutes`;
  return `${Math.ceil(seconds / 3600)} hours`;
}
