/** A secret that is shown once. It is kept nowhere but on the screen, until it is hidden or the view is left. */

import { useEffect, useRef } from "preact/hooks";
import { Copy } from "./copy.jsx";

/** @param {{title: string, secret: string, onHide: () => void, children?: any}} props */
export function Secret({ title, secret, onHide, children }) {
  const note = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => note.current?.focus(), [secret]); // it may be far from the button that made it
  return (
    <section class="note" aria-label={title} tabIndex={-1} ref={note}>
      <p>
        <strong>{title}</strong> Copy it now. It is shown only once.
      </p>
      <p>
        <code class="secret">{secret}</code>
      </p>
      {children}
      <div class="row">
        <Copy text={secret} />
        <button class="button" type="button" onClick={onHide}>
          I have copied it
        </button>
      </div>
    </section>
  );
}
