/** The user's API keys, for servers. */

import { useState } from "preact/hooks";
import { call } from "../api.js";
import { credits } from "../format.js";
import { useAction, useLoad } from "../load.js";
import { ActionButton } from "../parts/action-button.jsx";
import { Confirm } from "../parts/confirm.jsx";
import { Empty } from "../parts/empty.jsx";
import { ErrorNote } from "../parts/error-note.jsx";
import { Field } from "../parts/field.jsx";
import { Loaded } from "../parts/loaded.jsx";
import { Page } from "../parts/page.jsx";
import { Secret } from "../parts/secret.jsx";
import { Table } from "../parts/table.jsx";
import { Time } from "../parts/time.jsx";
import { session } from "../session.js";

/** @type {import("../router.js").View} */
export const apiKeys = { path: "/api-keys", title: "API keys", nav: "user", component: ApiKeys };

/** @type {Record<string, string>} */
const SCOPES = {
  read: "read requests, credits and the catalog",
  generate: "create and cancel requests",
  grant: "grant credits to users",
};

function ApiKeys() {
  const list = useLoad(() => call("listApiKeys"), []);
  const [created, setCreated] = useState(/** @type {{name: string, apiKey: string} | null} */ (null));
  return (
    <Page title="API keys" lead="A server acts as you with a key, within its scopes, until you revoke the key.">
      {created && (
        <Secret title={`The key “${created.name}”.`} secret={created.apiKey} onHide={() => setCreated(null)} />
      )}
      <Loaded
        of={list}
        waiting="Loading your keys"
        empty={(value) =>
          value.apiKeys.length === 0 && (
            <Empty title="No API keys yet.">Create one below for a server that calls the REST API.</Empty>
          )
        }
      >
        {(value) => (
          <Table caption="API keys" columns={["Name", "Scopes", "Created", "Last used", "Action"]}>
            {value.apiKeys.map((/** @type {any} */ key) => (
              <Key key={key.keyId} apiKey={key} onRevoked={list.reload} />
            ))}
          </Table>
        )}
      </Loaded>
      <NewKey onCreated={setCreated} reload={list.reload} />
    </Page>
  );
}

/** @param {{apiKey: Record<string, any>, onRevoked: () => Promise<void>}} props */
function Key({ apiKey, onRevoked }) {
  const { keyId, name, scopes, grantCreditsPerDay, createdAt, lastUsedOn } = apiKey;
  const revoke = useAction(async () => {
    await call("revokeApiKey", { keyId });
    await onRevoked();
  });
  return (
    <tr>
      <td>{name}</td>
      <td>
        {scopes.join(", ")}
        {grantCreditsPerDay > 0 && <span class="muted"> (at most {credits(grantCreditsPerDay)} a day)</span>}
      </td>
      <td>
        <Time at={createdAt} />
      </td>
      <td>{lastUsedOn ? `${lastUsedOn} (UTC)` : <span class="muted">never</span>}</td>
      <td>
        <Confirm
          label="Revoke"
          question={`Calls with the key “${name}” are refused from then on. This cannot be undone.`}
          action={revoke}
          onConfirm={() => revoke.run()}
        />
      </td>
    </tr>
  );
}

/**
 * @param {{onCreated: (created: {name: string, apiKey: string}) => void, reload: () => Promise<void>}} props
 */
function NewKey({ onCreated, reload }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState(["read", "generate"]);
  const [limit, setLimit] = useState("100");
  const offered = Object.keys(SCOPES).filter((scope) => scope !== "grant" || session.value?.isAdmin);
  const grants = scopes.includes("grant");
  const create = useAction(async () => {
    const data = { name, scopes, ...(grants && { grantCreditsPerDay: Number(limit) }) };
    const { apiKey } = await call("createApiKey", data);
    onCreated({ name, apiKey });
    setName("");
    await reload();
  });
  const toggle = (/** @type {string} */ scope) =>
    setScopes(scopes.includes(scope) ? scopes.filter((each) => each !== scope) : [...scopes, scope]);
  return (
    <form
      class="card stack"
      aria-label="New API key"
      onSubmit={(event) => {
        event.preventDefault();
        void create.run();
      }}
    >
      <Field label="Name of a new key" hint="For example the server that uses it.">
        <input
          type="text"
          required
          maxLength={100}
          placeholder="shop server"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </Field>
      <fieldset>
        <legend>Scopes</legend>
        <div class="stack checks">
          {offered.map((scope) => (
            <label key={scope} class="check">
              <input type="checkbox" checked={scopes.includes(scope)} onChange={() => toggle(scope)} />
              <span>
                {scope} <span class="muted">{SCOPES[scope]}</span>
              </span>
            </label>
          ))}
        </div>
      </fieldset>
      {grants && (
        <Field label="Credits that it may grant in a day (UTC)">
          <input
            type="number"
            required
            min={1}
            step={1}
            value={limit}
            onInput={(event) => setLimit(event.currentTarget.value)}
          />
        </Field>
      )}
      <ErrorNote error={create.error} />
      <div class="row">
        <ActionButton action={create} type="submit" kind="primary" disabled={scopes.length === 0}>
          Create the key
        </ActionButton>
      </div>
    </form>
  );
}
