/** Sign in, or create an account. */

import { useEffect, useState } from "preact/hooks";
import seed from "../../../seed/users.json";
import { refusal } from "../api.js";
import { config } from "../config.js";
import { useAction } from "../load.js";
import { ActionButton } from "../parts/action-button.jsx";
import { ErrorNote } from "../parts/error-note.jsx";
import { Field } from "../parts/field.jsx";
import { Page } from "../parts/page.jsx";
import { navigate, route } from "../router.js";
import { resetPassword, session, signIn, signUp } from "../session.js";

/** @type {import("../router.js").View} */
export const signInView = { path: "/sign-in", title: "Sign in", access: "anyone", component: SignIn };

export function SignIn() {
  const isSignedIn = Boolean(session.value);
  useEffect(() => {
    if (isSignedIn && route.value.path === "/sign-in") navigate("/");
  }, [isSignedIn]);
  return (
    <Page title="Sign in" lead="Make images from text, and pay for them with credits.">
      <ErrorNote error={refusal.value} />
      <div class="sign-in">
        {config.emulators && <SeededUsers />}
        <SignInForm />
      </div>
    </Page>
  );
}

function SignInForm() {
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const enter = useAction(() => signIn(email, password));
  const create = useAction(() => signUp(email, password));
  const reset = useAction(() => resetPassword(email).then(() => `A link to set a new password was sent to ${email}.`));
  return (
    <form
      class="card stack"
      aria-label="Your account"
      onSubmit={(event) => {
        event.preventDefault();
        create.reset();
        void enter.run();
      }}
    >
      <Field label="E-mail address">
        <input
          type="email"
          autocomplete="email"
          required
          value={email}
          onInput={(event) => setEmail(event.currentTarget.value)}
        />
      </Field>
      <Field label="Password" hint="Six characters or more.">
        <input
          type="password"
          autocomplete="current-password"
          required
          minLength={6}
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
        />
      </Field>
      <ErrorNote error={enter.error ?? create.error ?? reset.error} />
      <p role="status">{reset.result}</p>
      <div class="row">
        <ActionButton action={enter} type="submit" kind="primary">
          Sign in
        </ActionButton>
        <ActionButton
          action={create}
          onClick={() => {
            enter.reset();
            void create.run();
          }}
        >
          Create an account
        </ActionButton>
        <ActionButton action={reset} kind="quiet" onClick={() => void reset.run()}>
          Forgot the password?
        </ActionButton>
      </div>
    </form>
  );
}

/** The users of the sample data. Their password is public, so it opens nothing but the emulators. */
function SeededUsers() {
  const enter = useAction((/** @type {string} */ id) => signIn(`${id}@example.com`, seed.password));
  return (
    <section class="card stack" aria-labelledby="seeded">
      <h2 id="seeded">Sample users</h2>
      <p class="muted">They exist only in the emulators. One click signs you in.</p>
      <ul class="seeded">
        {seed.users.map((user) => (
          <li key={user.id}>
            <button class="button" type="button" aria-disabled={enter.isBusy} onClick={() => void enter.run(user.id)}>
              <span class="sr-only">Sign in as </span>
              {user.name}
              <span class="muted"> {user.id}</span>
            </button>
          </li>
        ))}
      </ul>
      <ErrorNote error={enter.error} />
    </section>
  );
}
