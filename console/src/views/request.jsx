/** One request: its picture, and its time line in credits and webhooks. */

import { useEffect } from "preact/hooks";
import { call } from "../api.js";
import { credits, duration } from "../format.js";
import { useDocument } from "../live.js";
import { useAction, useLoad } from "../load.js";
import { Confirm } from "../parts/confirm.jsx";
import { Copy } from "../parts/copy.jsx";
import { Delivery } from "../parts/delivery.jsx";
import { ErrorNote } from "../parts/error-note.jsx";
import { Cancel, StoredFiles } from "../parts/live-request.jsx";
import { Loaded } from "../parts/loaded.jsx";
import { Page } from "../parts/page.jsx";
import { Picture } from "../parts/picture.jsx";
import { Status } from "../parts/status.jsx";
import { Time } from "../parts/time.jsx";
import { Waiting } from "../parts/waiting.jsx";
import { href } from "../router.js";
import { session } from "../session.js";

/** @type {import("../router.js").View} */
export const requestDetails = { path: "/requests/:id", title: "Request", component: RequestDetails };

const DELIVERIES_SHOWN = 50;

/** @param {import("../router.js").ViewProps} props */
function RequestDetails({ params: { id } }) {
  const load = useLoad(() => call("getGenerationRequest", { generationRequestId: id }), [id]);
  // Security rules let only the owner listen. An operator reloads the page.
  const isOwn = load.value?.userId === session.value?.uid;
  const status = useDocument(isOwn ? `generationRequests/${id}` : null).value?.status;
  useEffect(() => {
    if (status && load.value && status !== load.value.status) void load.reload();
  }, [status, load.value]);
  return (
    <Page
      title="Request"
      lead={
        <>
          <code>{id}</code> <a href={href("/requests")}>All requests</a>
        </>
      }
      actions={<Copy text={id} label="Copy the id" />}
    >
      <Loaded of={load} waiting="Loading the request">
        {(request) => <Details request={request} reload={load.reload} />}
      </Loaded>
    </Page>
  );
}

/** @param {{request: Record<string, any>, reload: () => Promise<void>}} props */
function Details({ request, reload }) {
  const isOwn = request.userId === session.value?.uid;
  const isOpen = request.status === "pending" || request.status === "processing";
  const facts = {
    Model: request.model,
    Style: request.style,
    Color: request.color,
    Size: request.size,
    Seed: request.seed,
    Mode: request.mode,
    ...(!isOwn && { User: request.userId }),
  };
  return (
    <div class="studio">
      <section class="card stack" aria-labelledby="picture">
        <h2 id="picture" class="prompt-text">
          {request.prompt}
        </h2>
        {request.imageUrl && <Picture url={request.imageUrl} prompt={request.prompt} />}
        {request.error && (
          <p>
            {request.error.message} <code>{request.error.reason}</code>
          </p>
        )}
        {isOpen && <Waiting>{request.status === "pending" ? "Waiting in the queue" : `${request.model} draws`}</Waiting>}
        {isOpen && isOwn && (
          <div class="row">
            <Cancel id={request.generationRequestId} />
          </div>
        )}
        {request.image && <StoredFiles request={request} />}
        {request.image && isOwn && <ReplaceUrls id={request.generationRequestId} reload={reload} />}
        <dl class="facts">
          {Object.entries(facts).map(([name, value]) =>
            value === undefined ? null : (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
          )}
        </dl>
      </section>
      <section class="card stack" aria-labelledby="time-line">
        <h2 id="time-line">Time line</h2>
        <TimeLine request={request} isOwn={isOwn} />
        <Deliveries request={request} isOwn={isOwn} />
      </section>
    </div>
  );
}

/** @param {{request: Record<string, any>, isOwn: boolean}} props */
function TimeLine({ request, isOwn }) {
  const { generationRequestId: id, userId, status, error, processingTimeMs } = request;
  const ledger = `users/${userId}/creditTransactions/${id}`;
  const deduction = useDocument(isOwn ? `${ledger}-deduction` : null).value;
  const refund = useDocument(isOwn && request.refundedCredits > 0 ? `${ledger}-refund` : null).value;
  return (
    <ol class="time-line">
      <Step at={request.createdAt} title={`${credits(request.cost)} reserved`} balance={deduction?.balanceAfter} />
      {request.startedAt && <Step at={request.startedAt} title={`${request.model} started`} />}
      {request.finishedAt && (
        <Step
          at={request.finishedAt}
          title={
            <>
              <Status of={status} /> {error && <code>{error.reason}</code>}
            </>
          }
        >
          {status === "completed" && `${credits(request.netCredits)} paid`}
          {processingTimeMs !== undefined && ` after ${duration(processingTimeMs)} of work`}
        </Step>
      )}
      {request.refundedCredits > 0 && (
        <Step
          at={refund?.timestamp ?? request.finishedAt}
          title={`${credits(request.refundedCredits)} refunded`}
          balance={refund?.balanceAfter}
        />
      )}
      {!request.finishedAt && (
        <li class="open">
          <Status of={status} />
        </li>
      )}
    </ol>
  );
}

/** @param {{at: any, title: any, balance?: number, children?: any}} props */
function Step({ at, title, balance, children }) {
  return (
    <li>
      <p class="step-title">{title}</p>
      <p class="muted">
        <Time at={at} />
        {children && <> · {children}</>}
        {balance !== undefined && ` · balance ${credits(balance)}`}
      </p>
    </li>
  );
}

/** @param {{request: Record<string, any>, isOwn: boolean}} props */
function Deliveries({ request, isOwn }) {
  const load = useLoad(
    () =>
      call("listWebhookDeliveries", {
        userId: request.userId,
        generationRequestId: request.generationRequestId,
        pageSize: DELIVERIES_SHOWN,
      }),
    [request.generationRequestId, request.status],
    { everySeconds: 10 },
  );
  return (
    <>
      <h3>Webhooks</h3>
      <Loaded
        of={load}
        waiting="Loading its webhooks"
        empty={({ deliveries }) =>
          deliveries.length === 0 && (
            <p class="muted">
              None was sent for this request. An <a href={href("/webhooks")}>endpoint</a> gets one for each request that
              is made after it.
            </p>
          )
        }
      >
        {({ deliveries }) => (
          <ul class="deliveries">
            {deliveries.map((/** @type {any} */ delivery) => (
              <li key={delivery.deliveryId}>
                <Delivery delivery={delivery} canResend={isOwn} onResent={() => void load.reload()} />
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </>
  );
}

/** @param {{id: string, reload: () => Promise<void>}} props */
function ReplaceUrls({ id, reload }) {
  const replace = useAction(async () => {
    await call("replaceImageUrls", { generationRequestId: id });
    await reload();
  });
  return (
    <div>
      <Confirm
        label="Replace the URLs"
        kind=""
        question="The picture gets new URLs, and everybody who has an old one cannot open it any more."
        action={replace}
        onConfirm={() => replace.run()}
      />
      <ErrorNote error={replace.error} />
    </div>
  );
}
