/** Finds the project of this page, and the emulators if it is served by them. */

export const REGION = "us-central1";

/**
 * @typedef {{host: string, port: number, hostAndPort: string}} Address
 * @typedef {{auth: Address, functions: Address, firestore: Address}} Emulators
 * @typedef {{projectId: string, apiKey: string, authDomain: string}} WebApp
 * @typedef {{webApp: WebApp, emulators: Emulators | null}} Config
 */

/** @type {Config} */
export let config;

/** Load the configuration that Firebase Hosting serves. Throws an Error that says what to do. */
export async function loadConfig() {
  const emulators = await servedByEmulator();
  const response = await fetch("/__/firebase/init.json");
  const webApp = await response.json().catch(() => null);
  if (!webApp?.projectId || !webApp.apiKey) {
    throw new Error(
      "Firebase Hosting serves no configuration for this site. Register a web app in the Firebase console, " +
        "link it to this Hosting site, and deploy again.",
    );
  }
  config = { webApp, emulators };
}

/**
 * Return the URL of a callable function.
 * @param {string} name
 */
export function functionUrl(name) {
  const { projectId } = config.webApp;
  return config.emulators
    ? `http://${config.emulators.functions.hostAndPort}/${projectId}/${REGION}/${name}`
    : `https://${REGION}-${projectId}.cloudfunctions.net/${name}`;
}

/**
 * Return the running emulators, or null on a deployed site. The Hosting emulator tells their ports only in a script.
 * @returns {Promise<Emulators | null>}
 */
async function servedByEmulator() {
  if (!["127.0.0.1", "localhost", "[::1]"].includes(location.hostname)) return null;
  const script = await (await fetch("/__/firebase/init.js?useEmulator=true")).text();
  const found = /var firebaseEmulators = (\{[^]*?\n\});/.exec(script);
  const emulators = found && JSON.parse(found[1]);
  if (!emulators?.auth || !emulators.functions || !emulators.firestore) {
    throw new Error("This page needs the Auth, Functions and Firestore emulators. Start them with `make start`.");
  }
  return emulators;
}
