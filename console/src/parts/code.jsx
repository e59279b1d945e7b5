/** A piece of code that can be copied. */

import { Copy } from "./copy.jsx";

/** @param {{text: string, label: string}} props */
export function Code({ text, label }) {
  return (
    <div class="code">
      <pre role="group" aria-label={label}>
        <code>{text}</code>
      </pre>
      <Copy text={text} />
    </div>
  );
}
