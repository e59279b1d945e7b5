/** The Firebase services that the console uses: Auth, and Firestore for listeners. It never writes to Firestore. */

import { initializeApp } from "firebase/app";
import { connectAuthEmulator, indexedDBLocalPersistence, initializeAuth } from "firebase/auth";
import { connectFirestoreEmulator, getFirestore } from "firebase/firestore";
import { config } from "./config.js";

/** @type {import("firebase/auth").Auth} */
export let auth;
/** @type {import("firebase/firestore").Firestore} */
export let firestore;

/** Connect to the project, or to its emulators. */
export function connect() {
  const app = initializeApp(config.webApp);
  // Without a resolver for pop-ups, which would load a script from Google.
  auth = initializeAuth(app, { persistence: indexedDBLocalPersistence });
  firestore = getFirestore(app);
  if (config.emulators) {
    // The console has a banner of its own.
    connectAuthEmulator(auth, `http://${config.emulators.auth.hostAndPort}`, { disableWarnings: true });
    connectFirestoreEmulator(firestore, config.emulators.firestore.host, config.emulators.firestore.port);
  }
}
