// Firestore listeners under the security rules: users see changes of their own requests only.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { collection, doc, onSnapshot, query, where } from 'firebase/firestore';
import { Client, order, suite } from './app.mjs';

let user, other;

before(async () => {
  [user, other] = await Promise.all([suite.watcher, suite.other].map(Client.of));
  await user.call('registerUser');
});

after(() => Promise.all([user, other].map((client) => client.close())));

const requestsOf = (client, uid) => query(collection(client.db, 'generationRequests'), where('userId', '==', uid));
const requestOf = (client, id) => doc(client.db, 'generationRequests', id);

/** Listen until `enough(snapshot)`. Resolve to all snapshots seen, or reject with the listener's error. */
function watched(target, enough) {
  const seen = [];
  return new Promise((resolve, reject) => {
    const stop = onSnapshot(
      target,
      (snapshot) => {
        seen.push(snapshot);
        if (!enough(snapshot)) return;
        queueMicrotask(() => stop());
        resolve(seen);
      },
      reject,
    );
  });
}

const refused = (target) =>
  assert.rejects(
    watched(target, () => true),
    { name: 'FirebaseError', code: 'permission-denied' },
  );

test('the owner sees a request change from processing to completed', { timeout: 30_000 }, async () => {
  const own = requestsOf(user, user.uid);
  const [nothing] = await watched(own, () => true);
  assert.ok(nothing.empty);

  const balances = watched(doc(user.db, 'users', user.uid), (account) => account.get('credits.trial') === 9);
  const listed = watched(own, ({ docs }) => docs[0]?.get('status') === 'completed');
  const started = watched(own, ({ empty }) => !empty);
  const answer = user.call('createGenerationRequest', order({ model: suite.late }));

  const [found] = (await started).at(-1).docs;
  assert.equal(found.get('status'), 'processing');
  const looked = await watched(requestOf(user, found.id), (request) => request.get('status') === 'completed');
  assert.deepEqual(looked.map((request) => request.get('status')), ['processing', 'completed']);
  const statuses = (await listed).map(({ docs }) => docs[0]?.get('status'));
  assert.deepEqual(statuses, [undefined, 'processing', 'completed']);
  const { generationRequestId, imageUrl } = await answer;
  assert.equal(found.id, generationRequestId);
  assert.equal(looked.at(-1).get('imageUrl'), imageUrl);
  assert.equal((await balances).at(-1).get('credits.trial'), 9);
});

test('the owner sees a queued request change from pending to completed', { timeout: 60_000 }, async () => {
  const own = requestsOf(user, user.uid);
  const statusIn = ({ docs }) => docs.find((request) => request.get('mode') === 'async')?.get('status');
  const listed = watched(own, (snapshot) => statusIn(snapshot) === 'completed');
  await watched(own, () => true); // the listener above has begun too

  await user.call('createGenerationRequest', order({ model: suite.late, mode: 'async' }));

  const statuses = (await listed).map(statusIn).filter((status, index, all) => status && status !== all[index - 1]);
  assert.ok(statuses.length > 1);
  // A listener may miss a status that does not last.
  assert.deepEqual(statuses, ['pending', 'processing', 'completed'].slice(-statuses.length));
});

test('another user is refused', { timeout: 30_000 }, async () => {
  const { generationRequestId } = await user.call('createGenerationRequest', order());

  await refused(requestOf(other, generationRequestId));
  await refused(requestsOf(other, user.uid));
  await refused(collection(other.db, 'generationRequests'));
  await refused(doc(other.db, 'users', user.uid));
  await refused(collection(other.db, 'users', user.uid, 'creditTransactions'));
  await refused(collection(other.db, 'grants'));
});

test('the owner sees the ledger', { timeout: 30_000 }, async () => {
  const [ledger] = await watched(collection(user.db, 'users', user.uid, 'creditTransactions'), () => true);
  assert.ok(ledger.docs.some((entry) => entry.get('type') === 'grant'));
});
