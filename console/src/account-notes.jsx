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
  return (
    <>
      {user && !user.isVerified && <NotVerified email={user.email} />}
      {account.value === null && <NoAccount />}
      <ErrorNote error={account.error} />
    </>
  );
}

/** @param {{email: string}} props */
function NotVerified({ email }) {
  const send = useAction(async () => {
    await sendVerification();
    return `The link is on its way to ${email}.`;
  });
  const check = useAction(async () => {
    if (await checkVerification()) return "The address is verified.";
    return "The address is not verified yet. Open the link in the e-mail first.";
  });
  const verify = useAction(verifyInEmulator);
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

function NoAccount() {
  const open = useAction(() => call("registerUser"));
  return (
    <section class="note" aria-label="Account">
      <p>
        <strong>You have no account for credits yet.</strong> Open it to get your trial credits.
      </p>
      <ActionButton action={open} onClick={() => open.run()}>
        Open the account
      </ActionButton>
      <ErrorNote error={open.error} />
    </section>
  );
}
