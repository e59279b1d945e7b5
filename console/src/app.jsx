/** The frame around each view: banner, header, navigation. */

import { useEffect, useRef, useState } from "preact/hooks";
import { AccountNotes } from "./account-notes.jsx";
import { config } from "./config.js";
import { useDocument } from "./live.js";
import { Boundary } from "./parts/boundary.jsx";
import { Empty } from "./parts/empty.jsx";
import { Page } from "./parts/page.jsx";
import { Waiting } from "./parts/waiting.jsx";
import { credits } from "./format.js";
import { href, navigate, route } from "./router.js";
import { session, signOut } from "./session.js";
import { SignIn } from "./views/sign-in.jsx";

/** @typedef {import("./router.js").View} View */

/** @param {{views: View[]}} props */
export function App({ views }) {
  const { path, view } = route.value;
  useEffect(() => {
    if (path === "/") navigate(views.find((each) => each.nav)?.path ?? "/sign-in");
  }, [path]);
  useFocusOnNewView(path);
  useEffect(() => {
    document.title = `${view?.title ?? "Not found"} – imagegen console`;
  }, [view]);
  return (
    <>
      <button class="skip button" type="button" onClick={() => document.querySelector("h1")?.focus()}>
        Skip to the content
      </button>
      {config.emulators && (
        <aside class="emulator-banner" aria-label="Emulator">
          <strong>Emulator</strong> – everything here runs on this machine. Nothing is paid, and no e-mail is sent.
        </aside>
      )}
      <div class="frame">
        <Header views={views} />
        <main>
          {session.value && <AccountNotes />}
          <Shown />
        </main>
      </div>
    </>
  );
}

/** @param {{message: string}} props */
export function Broken({ message }) {
  return (
    <main class="broken">
      <Page title="The console cannot start">
        <p role="alert">{message}</p>
      </Page>
    </main>
  );
}

function Shown() {
  const { path, view, params, query } = route.value;
  if (!view && path === "/") return null;
  if (!view) {
    return (
      <Page title="Not found">
        <Empty title="There is no such page.">
          Choose one from the menu, or go to the <a href={href("/")}>start</a>.
        </Empty>
      </Page>
    );
  }
  const access = view.access ?? "user";
  const Component = view.component;
  const shown = (
    <Boundary key={path} title={view.title}>
      <Component params={params} query={query} />
    </Boundary>
  );
  if (access === "anyone") return shown;
  if (session.value === undefined) return <Waiting>Looking who is signed in</Waiting>;
  if (session.value === null) return <SignIn />;
  if (access === "admin" && !session.value.isAdmin) {
    return (
      <Page title={view.title}>
        <Empty title="This page is for operators.">
          Sign in with an account that has the custom claim <code>admin</code>. See “Make an admin” in the docs.
        </Empty>
      </Page>
    );
  }
  return shown;
}

/** @param {{views: View[]}} props */
function Header({ views }) {
  const [isOpen, setOpen] = useState(false);
  const { path } = route.value;
  useEffect(() => setOpen(false), [path]);
  const user = session.value;
  return (
    <header class="header">
      <div class="header-bar">
        <a class="brand" href={href("/")}>
          <img src="/icon.svg" alt="" width="28" height="28" /> imagegen
        </a>
        {user && <Balance uid={user.uid} />}
        {user && (
          <button
            class="button menu-button"
            type="button"
            aria-expanded={isOpen}
            aria-controls="menu"
            onClick={() => setOpen(!isOpen)}
          >
            Menu
          </button>
        )}
      </div>
      <div id="menu" class={isOpen ? "menu open" : "menu"}>
        {user && <Navigation label="Yours" views={views.filter((view) => view.nav === "user")} />}
        {user?.isAdmin && <Navigation label="Operator" views={views.filter((view) => view.nav === "operator")} />}
        {user && <Account name={user.name} email={user.email} />}
      </div>
    </header>
  );
}

/** @param {{label: string, views: View[]}} props */
function Navigation({ label, views }) {
  const { path } = route.value;
  const isCurrent = (/** @type {View} */ view) => path === view.path || path.startsWith(`${view.path}/`);
  return (
    <nav aria-label={label}>
      <p class="nav-label" aria-hidden="true">
        {label}
      </p>
      <ul>
        {views.map((view) => (
          <li key={view.path}>
            <a href={href(view.path)} aria-current={isCurrent(view) ? "page" : undefined}>
              {view.title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** @param {{name: string, email: string}} props */
function Account({ name, email }) {
  return (
    <div class="account">
      <p class="account-name">
        {name}
        {email !== name && <span class="muted"> {email}</span>}
      </p>
      <button class="button" type="button" onClick={() => void signOut().then(() => navigate("/sign-in"))}>
        Sign out
      </button>
    </div>
  );
}

/** @param {{uid: string}} props */
function Balance({ uid }) {
  const { value } = useDocument(`users/${uid}`);
  if (!value) return null;
  const { trial = 0, paid = 0 } = value.credits ?? {};
  return (
    <a class="balance" href={href("/credits")} aria-live="polite">
      {credits(trial + paid)}
    </a>
  );
}

/**
 * Move the focus to the heading of a new view, as a browser does for a new page.
 * @param {string} path
 */
function useFocusOnNewView(path) {
  const previous = useRef(path);
  useEffect(() => {
    if (previous.current === path) return;
    const isFirst = previous.current === "/";
    previous.current = path;
    scrollTo(0, 0);
    if (!isFirst) document.querySelector("h1")?.focus({ preventScroll: true });
  }, [path]);
}
