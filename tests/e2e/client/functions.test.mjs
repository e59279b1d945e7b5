// Calls every function with httpsCallable and checks the errors. Later tests depend on earlier ones.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { FirebaseError } from 'firebase/app';
import { Client, called, operate, order, suite } from './app.mjs';

let user, admin, anonymous, made, canceled;
const received = [];
const receiver = createServer(async (request, response) => {
  received.push({ headers: request.headers, body: (await request.setEncoding('utf8').toArray()).join('') });
  response.writeHead(204).end();
});

before(async () => {
  await once(receiver.listen(0, '127.0.0.1'), 'listening');
  [user, admin, anonymous] = await Promise.all([suite.newcomer, suite.admin, null].map(Client.of));
});

after(async () => {
  await Promise.all([user, admin, anonymous].map((client) => client.close()));
  receiver.close().closeAllConnections();
});

async function until(condition) {
  const deadline = Date.now() + 30_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, 'not within 30 s');
    await setTimeout(100);
  }
}

function assertRefused(error, code, details) {
  assert.ok(error instanceof FirebaseError);
  assert.equal(error.code, `functions/${code}`);
  assert.notEqual(error.message, '');
  assert.deepEqual(error.details, details);
}

test('registerUser opens the account', async () => {
  const account = await user.call('registerUser');
  assert.equal(account.userId, user.uid);
  assert.equal(account.trialCredits, 10);
});

test('getCatalog returns the options', async () => {
  const { sizes, styles } = await user.call('getCatalog');
  assert.deepEqual(Object.fromEntries(sizes.map(({ name, creditCost }) => [name, creditCost])), suite.costs);
  assert.ok(styles.some(({ name }) => name === 'oil painting'));
});

test('stream() ends with the result or the error', async () => {
  const { chunks, result } = await user.stream('getCatalog');
  assert.deepEqual(chunks, []);
  assert.deepEqual(result, await user.call('getCatalog'));
  await assert.rejects(user.stream('getWeeklyReport', { week: suite.week }), { code: 'functions/permission-denied' });
});

test('createGenerationRequest returns an image', async () => {
  const input = { type: 'address', address: '1 Lighthouse Road' };
  made = await user.call('createGenerationRequest', order({ size: '1024x1024', input }));
  assert.equal(made.deductedCredits, 3);
  assert.match(made.imageUrl, /^http:/);
});

test('getGenerationRequest returns the request', async () => {
  const request = await user.call('getGenerationRequest', { generationRequestId: made.generationRequestId });
  assert.equal(request.status, 'completed');
  assert.equal(request.imageUrl, made.imageUrl);
  assert.equal(request.input.address, '1 Lighthouse Road');
  assert.ok(Date.parse(request.createdAt) <= Date.parse(request.finishedAt));
});

test('replaceImageUrls needs a stored image', async () => {
  const { generationRequestId } = made;
  const error = await user.error('replaceImageUrls', { generationRequestId });
  assertRefused(error, 'failed-precondition', {
    reason: 'NO_STORED_IMAGE', generationRequestId, cost: 3, refundedCredits: 0, netCredits: 3,
  });
});

test('listGenerationRequests lists and counts the request', async () => {
  const list = await user.call('listGenerationRequests', { status: 'completed', includeTotalCount: true });
  assert.deepEqual(list.requests.map((request) => request.generationRequestId), [made.generationRequestId]);
  assert.equal(list.totalCount, 1);
});

test('getUserCredits, getCreditBalance and listCreditTransactions return the balance', async () => {
  const { currentCredits, transactions } = await user.call('getUserCredits');
  assert.equal(currentCredits, 7);
  assert.deepEqual(transactions.map(({ type, credits }) => [type, credits]), [['deduction', 3]]);
  assert.equal((await user.call('getCreditBalance')).totalAvailable, 7);
  const history = (await user.call('listCreditTransactions')).transactions;
  assert.deepEqual(history.map(({ type, balanceAfter }) => [type, balanceAfter]), [['deduction', 7], ['grant', 10]]);
});

test('grantCredits is for admins and grants once per key', async () => {
  const grant = { userId: user.uid, credits: 2, bucket: 'paid', reason: 'a gift', idempotencyKey: `gift ${user.uid}` };
  assertRefused(await user.error('grantCredits', grant), 'permission-denied', { reason: 'PERMISSION_DENIED' });
  assert.equal((await admin.call('grantCredits', grant)).balanceAfter, 9);
  const error = await admin.error('grantCredits', { ...grant, credits: 3 });
  assertRefused(error, 'already-exists', { reason: 'IDEMPOTENCY_MISMATCH' });
});

test('cancelGenerationRequest refunds a queued request', async () => {
  const { generationRequestId: ended } = made;
  const late = await user.error('cancelGenerationRequest', { generationRequestId: ended });
  const paid = { cost: 3, refundedCredits: 0, netCredits: 3 };
  const why = { reason: 'REQUEST_ENDED', generationRequestId: ended, status: 'completed', ...paid };
  assertRefused(late, 'failed-precondition', why);

  const webhookUrl = `http://127.0.0.1:${receiver.address().port}/hook`;
  const queued = await user.call('createGenerationRequest', order({ model: suite.late, mode: 'async', webhookUrl }));
  const { generationRequestId } = queued;
  const charge = { deductedCredits: 1, cost: 1, refundedCredits: 0, netCredits: 1 };
  assert.deepEqual(queued, { generationRequestId, ...charge, status: 'pending', currentCredits: 8 });
  canceled = await user.call('cancelGenerationRequest', { generationRequestId });
  const refund = { cost: 1, refundedCredits: 1, netCredits: 0, currentCredits: 9 };
  assert.deepEqual(canceled, { generationRequestId, status: 'canceled', ...refund });
});

test('the webhook is signed with the secret of getWebhookSecret, and resendWebhook sends it again', async () => {
  const webhookUrl = `http://127.0.0.1:${receiver.address().port}/hook`;
  const { webhookSecret } = await user.call('getWebhookSecret', { webhookUrl });
  const notMine = await admin.error('getWebhookSecret', { userId: user.uid });
  assertRefused(notMine, 'permission-denied', { reason: 'PERMISSION_DENIED' });

  let delivery;
  await until(async () => {
    [delivery] = (await user.call('listWebhookDeliveries')).deliveries;
    return delivery.status === 'delivered';
  });
  assert.equal(delivery.type, 'generation.canceled');
  assert.equal(delivery.generationRequestId, canceled.generationRequestId);
  await user.call('resendWebhook', { deliveryId: delivery.deliveryId });
  await until(() => received.length === 2);

  for (const { headers, body } of received) {
    const key = Buffer.from(webhookSecret.slice('whsec_'.length), 'base64');
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    assert.equal(headers['webhook-signature'], `v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
    assert.equal(headers['webhook-id'], delivery.deliveryId);
    assert.equal(JSON.parse(body).data.status, 'canceled');
  }
});

test('webhook endpoints are created, listed, rotated and deleted', async () => {
  const { endpoint, webhookSecret } = await user.call('createWebhookEndpoint', { url: 'https://hooks.example.com/' });
  const { endpointId } = endpoint;
  assert.deepEqual((await user.call('listWebhookEndpoints')).endpoints, [endpoint]);
  assert.notEqual((await user.call('rotateWebhookEndpointSecret', { endpointId })).webhookSecret, webhookSecret);
  const notMine = await admin.error('deleteWebhookEndpoint', { endpointId });
  assertRefused(notMine, 'not-found', { reason: 'ENDPOINT_NOT_FOUND', endpointId });
  assert.deepEqual(await user.call('deleteWebhookEndpoint', { endpointId }), { endpointId });
});

test('getWeeklyReport, listWeeklyReports and runWeeklyReport are for admins', async () => {
  const { week } = suite;
  assertRefused(await user.error('getWeeklyReport', { week }), 'permission-denied', { reason: 'PERMISSION_DENIED' });
  const { report } = await admin.call('runWeeklyReport', { week });
  assert.equal(report.week, week);
  assert.deepEqual((await admin.call('getWeeklyReport', { week })).report.total, report.total);
  assert.ok((await admin.call('listWeeklyReports', { pageSize: 50 })).reports.some((listed) => listed.week === week));
});

test('an API key is created, listed and revoked', async () => {
  const { keyId, apiKey } = await user.call('createApiKey', { name: 'shop', scopes: ['read'] });
  assert.match(apiKey, /^igk_/);
  const { apiKeys } = await user.call('listApiKeys');
  assert.deepEqual(apiKeys.map((key) => [key.keyId, key.name]), [[keyId, 'shop']]);
  assert.equal((await user.call('revokeApiKey', { keyId })).keyId, keyId);
});

test('a purchase is created, listed and reconciled', async () => {
  const { purchaseId, status } = await user.call('createPurchase', { package: 'starter' });
  assert.equal(status, 'open');
  assert.equal((await user.call('getPurchase', { purchaseId })).credits, 50);
  assert.equal((await user.call('reconcilePurchase', { purchaseId })).status, 'open');
  assert.deepEqual((await user.call('listPurchases')).purchases.map((listed) => listed.purchaseId), [purchaseId]);
});

test('the functions for operators are for admins', async () => {
  const found = await admin.call('findUsers', { query: user.uid });
  assert.deepEqual(found.users.map(({ userId }) => userId), [user.uid]);
  const { options } = await admin.call('listCatalogOptions');
  const { kind, id } = options[0];
  const stale = await admin.error('updateCatalogOption', { kind, id, version: 'stale', changes: { enabled: true } });
  assert.equal(stale.details.reason, 'OPTION_CHANGED');
  assert.ok((await admin.call('getOperations')).pending >= 0);
  assert.deepEqual((await admin.call('findPurchases', { status: 'disputed' })).purchases, []);
  for (const name of ['listCatalogOptions', 'getOperations', 'getAudit']) {
    assertRefused(await user.error(name), 'permission-denied', { reason: 'PERMISSION_DENIED' });
  }
});

test('an account is exported and deleted', async () => {
  assert.equal((await user.call('exportAccount')).status, 'running');
  assert.equal((await user.call('getAccountExport')).userId, user.uid);
  const error = await user.error('deleteAccount', { confirmUserId: 'someone else' });
  assert.equal(error.details.reason, 'INVALID_INPUT');
});

test('every function was called', () => {
  assert.deepEqual([...called].sort(), suite.callables.toSorted());
});

test('invalid input names each violation', async () => {
  const error = await user.error('createGenerationRequest', order({ size: 'huge', prompt: ' ' }));
  assertRefused(error, 'invalid-argument', {
    reason: 'INVALID_INPUT',
    violations: [
      { field: 'size', message: 'must be one of the sizes on offer', allowed: Object.keys(suite.costs) },
      { field: 'prompt', message: 'must not be blank' },
    ],
  });
});

test('a failed generation returns the refund', async () => {
  const error = await user.error('createGenerationRequest', order({ model: suite.broken, size: '1024x1024' }));
  const { generationRequestId } = error.details;
  const refund = { generationRequestId, cost: 3, refundedCredits: 3, netCredits: 0, currentCredits: 9 };
  assertRefused(error, 'unavailable', { reason: 'GENERATION_FAILED', ...refund });
  assert.equal((await user.call('getGenerationRequest', { generationRequestId })).refunded, true);
});

test('a timeout returns the refund', async () => {
  const error = await user.error('createGenerationRequest', order({ model: suite.slow }));
  const { generationRequestId } = error.details;
  const refund = { generationRequestId, cost: 1, refundedCredits: 1, netCredits: 0, currentCredits: 9 };
  assertRefused(error, 'deadline-exceeded', { reason: 'GENERATION_TIMEOUT', ...refund });
});

test('an insufficient balance returns the required credits', async () => {
  await user.call('createGenerationRequest', order({ size: '1024x1792' }));
  await user.call('createGenerationRequest', order({ size: '1024x1792' }));
  const error = await user.error('createGenerationRequest', order({ size: '1024x1024' }));
  const missing = { requiredCredits: 3, currentCredits: 1 };
  assertRefused(error, 'failed-precondition', { reason: 'INSUFFICIENT_CREDITS', ...missing });
});

test('an unknown request is not found', async () => {
  const error = await admin.error('getGenerationRequest', { generationRequestId: 'nothing' });
  assertRefused(error, 'not-found', { reason: 'REQUEST_NOT_FOUND', generationRequestId: 'nothing' });
});

test('only admins see the credits of other users', async () => {
  const error = await user.error('getUserCredits', { userId: admin.uid });
  assertRefused(error, 'permission-denied', { reason: 'PERMISSION_DENIED' });
  assert.equal((await admin.call('getUserCredits', { userId: user.uid })).currentCredits, 1);
});

test('an anonymous registerUser requires a userId', async () => {
  const error = await anonymous.error('registerUser');
  assertRefused(error, 'invalid-argument', {
    reason: 'INVALID_INPUT',
    violations: [{ field: 'userId', message: 'is required' }],
  });
});

test('a disabled account is unauthenticated', async () => {
  await operate(user.uid, { disableUser: true });
  assertRefused(await user.error('getCatalog'), 'unauthenticated', { reason: 'UNAUTHENTICATED' });
});
