/** Starts the console. */

import { render } from "preact";
import { App, Broken } from "./app.jsx";
import { config, loadConfig } from "./config.js";
import { connect } from "./firebase.js";
import { landFromCheckout } from "./landing.js";
import { watchRoute } from "./router.js";
import { VIEWS } from "./routes.js";
import { watchSession } from "./session.js";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/views.css";
import "./styles/operator.css";

const root = /** @type {HTMLElement} */ (document.getElementById("console"));
addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
  // The committed policy is that of production. The Firebase CLI alone serves it as it is.
  if (config?.emulators && effectiveDirective === "connect-src") {
    stop("The page’s Content-Security-Policy does not allow the emulators. Start them with `make start`.");
  }
});
try {
  await loadConfig();
  connect();
  watchSession();
  landFromCheckout();
  watchRoute(VIEWS);
  root.replaceChildren();
  render(<App views={VIEWS} />, root);
} catch (error) {
  stop(error instanceof Error ? error.message : String(error));
}

/** @param {string} message */
function stop(message) {
  render(null, root);
  root.replaceChildren();
  render(<Broken message={message} />, root);
}
