/** What is missing before the user can spend credits: a verified e-mail address, or an account. */

import { call } from "./api.js";
import { config } from "./config.js";
import { useDocument } from "./live.js";
import { useAction } from "./load.js";
import { ActionButton } from "./parts/action-button.jsx";
import { ErrorNote } from "./parts/error-note.jsx";
import { checkVerification, sendVerification, session, verifyInEmulator } from "./session.js";

export function AccountNotes() {
  const user = session.value;
  const account = useDocument(user && `users/${user.uid}`);
  // It also grants the trial credits of an account that is there, once the address is verified.
  const open = useAction(() => call("registerUser"));
  return (
    <>
      {user && !user.isVerified && <NotVerified email={user.email} onVerified={open.run} />}
      {account.value === null && <NoAccount open={open} />}
      <ErrorNote error={open.error} retry={account.value ? open.run : undefined} />
      <ErrorNote error={account.error} />
    </>
  );
}

/** @param {{email: string, onVerified: () => Promise<void>}} props */
function NotVerified({ email, onVerified }) {
  const send = useAction(async () => {
    await sendVerification();
    return `The link is on its way to ${email}.`;
  });
  // The new token takes this note away, so that it could not show an error of the account.
  const check = useAction(async () => {
    if (!(await checkVerification())) return "The address is not verified yet. Open the link in the e-mail first.";
    await onVerified();
    return "The address is verified.";
  });
  const verify = useAction(async () => {
    if (await verifyInEmulator()) await onVerified();
  });
  return (
    <section class="note" aria-label="E-mail verification">
      <p>
        <strong>Your address {email} is not verified.</strong> Verify it to get trial credits and to spend credits.
      </p>
      <div class="row">
        <ActionButton action={send} onClick={() => send.run()}>
          Send the link again
        </ActionButton>
        <ActionButton action={check} onClick={() => check.run()}>
          I have opened the link
        </ActionButton>
        {config.emulators && (
          <ActionButton action={verify} onClick={() => verify.run()}>
            Verify it now (emulator)
          </ActionButton>
        )}
      </div>
      <p role="status">{check.result ?? send.result}</p>
      <ErrorNote error={send.error ?? check.error ?? verify.error} />
    </section>
  );
}

/** @param {{open: import("./load.js").Action<[]>}} props */
function NoAccount({ open }) {
  return (
    <section class="note" aria-label="Account">
      <p>
        <strong>You have no account for credits yet.</strong> Open it to get your trial credits.
      </p>
      <ActionButton action={open} onClick={() => open.run()}>
        Open the account
      </ActionButton>
    </section>
  );
}
