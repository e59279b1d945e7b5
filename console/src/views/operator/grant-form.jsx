/** Grants credits to a user, once for each idempotency key. */

import { useState } from "preact/hooks";
import { call } from "../../api.js";
import { credits, number } from "../../format.js";
import { useAction } from "../../load.js";
import { ActionButton } from "../../parts/action-button.jsx";
import { ErrorNote } from "../../parts/error-note.jsx";
import { Field } from "../../parts/field.jsx";

const newKey = () => `console-${crypto.randomUUID()}`;

/** @param {{userId: string, onGranted: () => void}} props */
export function GrantForm({ userId, onGranted }) {
  const [amount, setAmount] = useState("10");
  const [bucket, setBucket] = useState("paid");
  const [reason, setReason] = useState("");
  // The key stays until the grant is confirmed, so a repeated click after a lost answer grants nothing twice.
  const [key, setKey] = useState(newKey);
  const grant = useAction(async () => {
    const granted = await call("grantCredits", {
      userId,
      credits: Number(amount),
      bucket,
      reason: reason.trim(),
      idempotencyKey: key.trim(),
    });
    setKey(newKey());
    setReason("");
    onGranted();
    return granted;
  });
  return (
    <form
      class="card stack"
      aria-label="Grant credits"
      onSubmit={(event) => {
        event.preventDefault();
        void grant.run();
      }}
    >
      <div class="row">
        <Field label="Credits">
          <input
            type="number"
            required
            min="1"
            step="1"
            value={amount}
            onInput={(event) => setAmount(event.currentTarget.value)}
          />
        </Field>
        <Field label="Bucket">
          <select value={bucket} onChange={(event) => setBucket(event.currentTarget.value)}>
            <option value="paid">paid</option>
            <option value="trial">trial</option>
          </select>
        </Field>
      </div>
      <Field label="Reason" hint="Stored in the ledger">
        <input
          required
          maxLength={500}
          value={reason}
          onInput={(event) => setReason(event.currentTarget.value)}
        />
      </Field>
      <Field label="Idempotency key" hint="A second grant with the same key changes nothing">
        <input required maxLength={100} value={key} onInput={(event) => setKey(event.currentTarget.value)} />
      </Field>
      <div class="row">
        <ActionButton action={grant} type="submit" kind="primary">Grant credits</ActionButton>
      </div>
      <ErrorNote error={grant.error} />
      {grant.result && (
        <p role="status" class="good">
          {grant.result.replayed
            ? "A grant with this key was made before. Nothing was granted again."
            : `Granted ${credits(grant.result.grantedCredits)}.`}{" "}
          The balance after the grant is {number(grant.result.balanceAfter)}.
        </p>
      )}
    </form>
  );
}
