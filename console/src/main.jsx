/** Starts the console. */

import { render } from "preact";
import { App, Broken } from "./app.jsx";
import { loadConfig } from "./config.js";
import { connect } from "./firebase.js";
import { watchRoute } from "./router.js";
import { VIEWS } from "./routes.js";
import { watchSession } from "./session.js";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/views.css";
import "./styles/operator.css";

const root = /** @type {HTMLElement} */ (document.getElementById("console"));
try {
  await loadConfig();
  connect();
  watchSession();
  watchRoute(VIEWS);
  root.replaceChildren();
  render(<App views={VIEWS} />, root);
} catch (error) {
  root.replaceChildren();
  render(<Broken message={error instanceof Error ? error.message : String(error)} />, root);
}
