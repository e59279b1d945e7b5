// A client of the running emulators, set up like a web app. SUITE contains their addresses and the accounts.

import assert from 'node:assert/strict';
import { deleteApp, initializeApp, onLog } from 'firebase/app';
import { connectAuthEmulator, getAuth, signInWithEmailAndPassword } from 'firebase/auth';
import { connectFirestoreEmulator, getFirestore, terminate } from 'firebase/firestore';
import { connectFunctionsEmulator, getFunctions, httpsCallable } from 'firebase/functions';

export const suite = JSON.parse(process.env.SUITE);
export const called = new Set();

// The emulator sometimes breaks a listener's stream. The SDK then waits for a minute and misses changes, so give up.
onLog(({ message }) => {
  if (!/RPC 'Listen' stream .* RESOURCE_EXHAUSTED/.test(message)) return;
  console.log(message);
  process.exit(1);
}, { level: 'warn' });

export class Client {
  #app = initializeApp({ projectId: suite.project, apiKey: 'any' }, crypto.randomUUID());
  #functions = getFunctions(this.#app);
  auth = getAuth(this.#app);
  db = getFirestore(this.#app);

  /** Create a client, signed in as `user` (`{uid, email}`) or anonymous. */
  static async of(user) {
    const client = new Client();
    connectAuthEmulator(client.auth, `http://${suite.auth}`, { disableWarnings: true });
    connectFunctionsEmulator(client.#functions, ...address(suite.functions));
    connectFirestoreEmulator(client.db, ...address(suite.firestore));
    if (user) await signInWithEmailAndPassword(client.auth, user.email, suite.password);
    return client;
  }

  get uid() {
    return this.auth.currentUser.uid;
  }

  /** Call a function, without an argument if there is none. Return its result. */
  async call(name, ...argument) {
    called.add(name);
    return (await httpsCallable(this.#functions, name)(...argument)).data;
  }

  /** Call a function with stream(). Return its chunks and its result. */
  async stream(name, ...argument) {
    const { stream, data } = await httpsCallable(this.#functions, name).stream(...argument);
    data.catch(() => {}); // the stream reports the same error
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return { chunks, result: await data };
  }

  /** Call a function that must fail. Return its error. */
  async error(name, ...argument) {
    try {
      await this.call(name, ...argument);
    } catch (error) {
      return error;
    }
    assert.fail(`${name} was not refused`);
  }

  async close() {
    await terminate(this.db);
    await deleteApp(this.#app);
  }
}

export const order = (options = {}) => ({
  model: 'Model A',
  style: 'anime',
  color: 'neon',
  size: '512x512',
  prompt: 'a lighthouse at dusk',
  ...options,
});

/** Change an account as an operator would. */
export async function operate(uid, changes) {
  const response = await fetch(
    `http://${suite.auth}/identitytoolkit.googleapis.com/v1/projects/${suite.project}/accounts:update`,
    {
      method: 'POST',
      headers: { 'Authorization': 'Bearer owner', 'Content-Type': 'application/json' },
      body: JSON.stringify({ localId: uid, ...changes }),
    },
  );
  assert.ok(response.ok, await response.text());
}

function address(host) {
  const [name, port] = host.split(':');
  return [name, Number(port)];
}
