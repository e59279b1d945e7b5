/** A webhook with its attempts, and a button that sends it again. */

import { call } from "../api.js";
import { duration } from "../format.js";
import { useAction } from "../load.js";
import { href } from "../router.js";
import { ActionButton } from "./action-button.jsx";
import { ErrorNote } from "./error-note.jsx";
import { Status } from "./status.jsx";
import { Time } from "./time.jsx";

/**
 * @param {{delivery: Record<string, any>, canResend: boolean, onResent: () => void, isLinked?: boolean}} props
 */
export function Delivery({ delivery, canResend, onResent, isLinked = false }) {
  const { deliveryId, type, webhookUrl, status, createdAt, nextAttemptAt, attemptCount, attempts } = delivery;
  const resend = useAction(async () => {
    await call("resendWebhook", { deliveryId });
    onResent();
  });
  return (
    <article class="delivery" aria-label={`Webhook ${type}`}>
      <p class="row">
        <Status of={status} />
        <code>{type}</code>
        <span class="muted">
          <Time at={createdAt} />
        </span>
      </p>
      <p>
        <code>{webhookUrl}</code>
      </p>
      {nextAttemptAt && (
        <p class="muted">
          Next attempt: <Time at={nextAttemptAt} />
        </p>
      )}
      {attempts.length > 0 && (
        <details>
          <summary>
            {attemptCount} {attemptCount === 1 ? "attempt" : "attempts"}, the last: {outcome(attempts.at(-1))}
          </summary>
          <ol class="attempts">
            {attempts.map((/** @type {any} */ attempt) => (
              <li key={attempt.at}>
                <Time at={attempt.at} /> {outcome(attempt)} <span class="muted">{duration(attempt.durationMs)}</span>
              </li>
            ))}
          </ol>
        </details>
      )}
      <div class="row">
        {canResend && (
          <ActionButton action={resend} onClick={() => void resend.run()}>
            Send again
          </ActionButton>
        )}
        {isLinked && <a href={href(`/requests/${delivery.generationRequestId}`)}>Its request</a>}
      </div>
      <ErrorNote error={resend.error} />
    </article>
  );
}

/** @param {{statusCode?: number, error?: string}} attempt */
function outcome({ statusCode, error }) {
  return statusCode ? `answer ${statusCode}` : (error ?? "no answer");
}
