/** Calls the backend's functions, with the ID token of the user who is signed in. */

import { signal } from "@preact/signals";
import { config, functionUrl } from "./config.js";
import { ApiError } from "./errors.js";
import { auth } from "./firebase.js";

const TIMEOUT_SECONDS = 60;

/**
 * The error with which the backend has refused the session, for example because the account was disabled.
 * @type {import("@preact/signals").Signal<ApiError | null>}
 */
export const refusal = signal(null);

/**
 * Call a function and return its result. Throws an ApiError, also if no answer comes.
 * @param {string} name
 * @param {Record<string, any>} [data]
 * @param {{timeoutSeconds?: number}} [options]
 * @returns {Promise<any>}
 */
export async function call(name, data = {}, { timeoutSeconds = TIMEOUT_SECONDS } = {}) {
  const token = await auth.currentUser?.getIdToken();
  const answer = await fetched(functionUrl(name), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ data }),
    signal: AbortSignal.timeout(timeoutSeconds * 1000),
  });
  if (answer?.error) {
    const { status, message, details } = answer.error;
    const error = new ApiError(details?.reason ?? status ?? "UNEXPECTED", message, details);
    if (token && error.reason === "UNAUTHENTICATED") {
      refusal.value = error;
      await auth.signOut(); // so that the page to sign in is shown
    }
    throw error;
  }
  if (!answer || !("result" in answer)) {
    throw new ApiError("UNEXPECTED", `${name} did not answer as a function does. Reload the page, then try again.`);
  }
  return answer.result;
}

/**
 * Return the JSON of an answer, or null if it is not JSON.
 * @param {string} url
 * @param {RequestInit} init
 * @param {boolean} [isRepeated]
 * @returns {Promise<any>}
 */
async function fetched(url, init, isRepeated = false) {
  try {
    const response = await fetch(url, init);
    return await response.json();
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new ApiError("TIMEOUT", "No answer came in time. Try again: a repeated click is not charged twice.");
    }
    // The emulator may use a connection that the function's process has just closed. The function did not run then.
    if (config.emulators && !isRepeated) return fetched(url, init, true);
    throw new ApiError("OFFLINE", "The functions cannot be reached. Check your connection and try again.");
  }
}
