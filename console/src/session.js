/** The user who is signed in. */

import { signal } from "@preact/signals";
import {
  applyActionCode,
  createUserWithEmailAndPassword,
  onIdTokenChanged,
  sendEmailVerification,
  sendPasswordResetEmail,
  signInWithEmailAndPassword,
  signOut as signOutOfFirebase,
} from "firebase/auth";
import { call, refusal } from "./api.js";
import { config } from "./config.js";
import { auth } from "./firebase.js";

/** @typedef {{uid: string, email: string, name: string, isVerified: boolean, isAdmin: boolean}} Session */

/**
 * The session, null if nobody is signed in, or undefined until that is known.
 * @type {import("@preact/signals").Signal<Session | null | undefined>}
 */
export const session = signal(undefined);

let isSigningUp = false;

/** Keep `session` current from now on. */
export function watchSession() {
  onIdTokenChanged(auth, updateSession);
}

/** @param {import("firebase/auth").User | null} user */
async function updateSession(user) {
  const current = user && (await sessionOf(user));
  if (auth.currentUser === user && !isSigningUp) session.value = current; // it may have changed meanwhile
}

/**
 * @param {import("firebase/auth").User} user
 * @returns {Promise<Session>}
 */
async function sessionOf(user) {
  // Without a connection, an old token cannot be renewed. Calls then say so.
  const { claims } = await user.getIdTokenResult().catch(() => ({ claims: /** @type {any} */ ({}) }));
  const email = user.email ?? "";
  return {
    uid: user.uid,
    email,
    name: user.displayName || email || user.uid,
    isVerified: user.emailVerified || Boolean(user.phoneNumber),
    isAdmin: claims.admin === true,
  };
}

/**
 * @param {string} email
 * @param {string} password
 */
export async function signIn(email, password) {
  await signInWithEmailAndPassword(auth, email, password);
  refusal.value = null;
}

/**
 * Create a user, send the link that verifies the address, and open the account. The session starts afterwards, because
 * a listener of the Firestore emulator can miss for good a document that is created while the listener starts.
 * @param {string} email
 * @param {string} password
 */
export async function signUp(email, password) {
  isSigningUp = true;
  try {
    const { user } = await createUserWithEmailAndPassword(auth, email, password);
    await sendEmailVerification(user);
    await call("registerUser");
  } finally {
    isSigningUp = false;
    await updateSession(auth.currentUser);
  }
}

/** @param {string} email */
export async function resetPassword(email) {
  await sendPasswordResetEmail(auth, email);
}

export async function signOut() {
  await signOutOfFirebase(auth);
}

/** Send the link that verifies the e-mail address again. */
export async function sendVerification() {
  if (auth.currentUser) await sendEmailVerification(auth.currentUser);
}

/** Look whether the address is verified by now. Return whether it is. */
export async function checkVerification() {
  const user = auth.currentUser;
  await user?.reload();
  if (!user?.emailVerified) return false;
  await user.getIdToken(true); // the session follows the new token
  return true;
}

/** Follow the newest link that the Auth emulator would have sent, because it sends no e-mail. */
export async function verifyInEmulator() {
  await sendVerification();
  const url = `http://${config.emulators?.auth.hostAndPort}/emulator/v1/projects/${config.webApp.projectId}/oobCodes`;
  const { oobCodes } = await (await fetch(url)).json();
  const own = oobCodes.filter(
    (/** @type {any} */ code) => code.email === auth.currentUser?.email && code.requestType === "VERIFY_EMAIL",
  );
  await applyActionCode(auth, own.at(-1).oobCode);
  return checkVerification();
}

/** Return the ID token of the user who is signed in. */
export async function idToken() {
  return (await auth.currentUser?.getIdToken()) ?? "";
}
