/** The user's webhook endpoints and the webhooks that were sent. */

import { useState } from "preact/hooks";
import { call } from "../api.js";
import { useAction, useLoad, usePages } from "../load.js";
import { ActionButton } from "../parts/action-button.jsx";
import { Confirm } from "../parts/confirm.jsx";
import { Delivery } from "../parts/delivery.jsx";
import { Empty } from "../parts/empty.jsx";
import { ErrorNote } from "../parts/error-note.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded, Paged } from "../parts/loaded.jsx";
import { Page } from "../parts/page.jsx";
import { Secret } from "../parts/secret.jsx";
import { Status } from "../parts/status.jsx";
import { Time } from "../parts/time.jsx";

const EVENTS = ["generation.completed", "generation.failed", "generation.canceled", "webhook.given_up"];

/** @type {import("../router.js").View} */
export const webhooks = { path: "/webhooks", title: "Webhooks", nav: "user", component: Webhooks };

function Webhooks() {
  const list = useLoad(() => call("listWebhookEndpoints"), []);
  const [secret, setSecret] = useState(/** @type {{url: string, text: string} | null} */ (null));
  return (
    <Page
      title="Webhooks"
      lead="Your server gets a signed POST for each event. An endpoint gets the events of requests that are made after it."
    >
      {secret && (
        <Secret
          title={`The secret that signs the webhooks to ${secret.url}.`}
          secret={secret.text}
          onHide={() => setSecret(null)}
        />
      )}
      <section class="stack" aria-labelledby="endpoints">
        <h2 id="endpoints">Endpoints</h2>
        <Loaded
          of={list}
          waiting="Loading your endpoints"
          empty={({ endpoints }) =>
            endpoints.length === 0 && (
              <Empty title="No endpoints yet.">Name the URL of your server below, and choose its events.</Empty>
            )
          }
        >
          {({ endpoints }) => (
            <ul class="cards">
              {endpoints.map((/** @type {any} */ endpoint) => (
                <li key={endpoint.endpointId} class="card stack">
                  <Endpoint endpoint={endpoint} onSecret={setSecret} onChange={list.reload} />
                </li>
              ))}
            </ul>
          )}
        </Loaded>
        <NewEndpoint onSecret={setSecret} onCreated={list.reload} />
      </section>
      <Deliveries />
    </Page>
  );
}

/**
 * @param {{endpoint: Record<string, any>, onSecret: (secret: {url: string, text: string}) => void,
 *   onChange: () => Promise<void>}} props
 */
function Endpoint({ endpoint, onSecret, onChange }) {
  const { endpointId, url, events, enabled, failingSince, pausedUntil, givenUpAt } = endpoint;
  const rotate = useAction(async () => {
    const { webhookSecret } = await call("rotateWebhookEndpointSecret", { endpointId });
    onSecret({ url, text: webhookSecret });
  });
  const remove = useAction(async () => {
    await call("deleteWebhookEndpoint", { endpointId });
    await onChange();
  });
  const enable = useAction(async () => {
    await call("createWebhookEndpoint", { url, events });
    await onChange();
  });
  return (
    <>
      <p class="row">
        <Status of={enabled ? (failingSince ? "failing" : "enabled") : "given up"} />
        <code>{url}</code>
      </p>
      <p class="muted">{events.length ? events.join(", ") : "all events"}</p>
      {failingSince && (
        <p>
          Fails since <Time at={failingSince} />.{" "}
          {pausedUntil && (
            <>
              The next attempt waits until <Time at={pausedUntil} />.
            </>
          )}
        </p>
      )}
      {!enabled && (
        <p>
          It was given up {givenUpAt && <Time at={givenUpAt} />}, because it accepted nothing for days. Repair your
          server, then enable it again.
        </p>
      )}
      <div class="row">
        {!enabled && (
          <ActionButton action={enable} onClick={() => void enable.run()}>
            Enable it again
          </ActionButton>
        )}
        <Confirm
          label="Replace the secret"
          kind=""
          question="You get a new secret. The one before also signs for another day, so that you can switch your server."
          action={rotate}
          onConfirm={() => rotate.run()}
        />
        <Confirm
          label="Delete"
          question={`${url} gets no more webhooks, not even those that wait.`}
          action={remove}
          onConfirm={() => remove.run()}
        />
      </div>
      <ErrorNote error={enable.error} />
    </>
  );
}

/**
 * @param {{onSecret: (secret: {url: string, text: string}) => void, onCreated: () => Promise<void>}} props
 */
function NewEndpoint({ onSecret, onCreated }) {
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState(/** @type {string[]} */ ([]));
  const create = useAction(async () => {
    const { endpoint, webhookSecret } = await call("createWebhookEndpoint", { url, events });
    onSecret({ url: endpoint.url, text: webhookSecret });
    setUrl("");
    setEvents([]);
    await onCreated();
  });
  const toggle = (/** @type {string} */ event) =>
    setEvents(events.includes(event) ? events.filter((each) => each !== event) : [...events, event]);
  return (
    <form
      class="card stack"
      aria-label="New endpoint"
      onSubmit={(event) => {
        event.preventDefault();
        void create.run();
      }}
    >
      <Field label="URL of a new endpoint" hint="A public https address of your server.">
        <input
          type="url"
          required
          placeholder="https://your-server.example/images"
          value={url}
          onInput={(event) => setUrl(event.currentTarget.value)}
        />
      </Field>
      <fieldset class="stack">
        <legend>Events</legend>
        <div class="row checks">
          {EVENTS.map((event) => (
            <label key={event} class="check">
              <input type="checkbox" checked={events.includes(event)} onChange={() => toggle(event)} />
              {event}
            </label>
          ))}
        </div>
        <p class="hint">Without a choice, the endpoint gets all events.</p>
      </fieldset>
      <ErrorNote error={create.error} />
      <div class="row">
        <ActionButton action={create} type="submit" kind="primary">
          Create the endpoint
        </ActionButton>
      </div>
    </form>
  );
}

function Deliveries() {
  const list = usePages(
    (pageToken) => call("listWebhookDeliveries", { pageToken, pageSize: 20 }),
    (page) => page.deliveries,
    [],
  );
  return (
    <section class="stack" aria-labelledby="deliveries">
      <div class="page-head">
        <h2 id="deliveries">Deliveries</h2>
        <button class="button" type="button" onClick={() => void list.reload()}>
          Reload
        </button>
      </div>
      <Paged
        of={list}
        waiting="Loading the deliveries"
        empty={
          <Empty title="No webhooks yet.">
            Create an endpoint, then make a picture. Its webhook is listed here with each attempt.
          </Empty>
        }
      >
        {(items) => (
          <ul class="deliveries">
            {items.map((delivery) => (
              <li key={delivery.deliveryId} class="card">
                <Delivery delivery={delivery} canResend isLinked onResent={() => void list.reload()} />
              </li>
            ))}
          </ul>
        )}
      </Paged>
    </section>
  );
}
