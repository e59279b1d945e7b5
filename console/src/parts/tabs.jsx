/** Tabs, with the arrow keys. */

import { useId, useRef, useState } from "preact/hooks";

/** @param {{label: string, tabs: {id: string, title: string, content: any}[]}} props */
export function Tabs({ label, tabs }) {
  const prefix = useId();
  const [current, setCurrent] = useState(tabs[0].id);
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  const index = Math.max(0, tabs.findIndex((tab) => tab.id === current));
  /** @param {KeyboardEvent} event */
  function onKeyDown(event) {
    /** @type {Record<string, number>} */
    const target = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 };
    if (!(event.key in target)) return;
    event.preventDefault();
    const next = (target[event.key] + tabs.length) % tabs.length;
    setCurrent(tabs[next].id);
    /** @type {HTMLElement | undefined} */ (list.current?.children[next])?.focus();
  }
  return (
    <div class="tabs">
      <div class="tab-list" role="tablist" aria-label={label} ref={list} onKeyDown={onKeyDown}>
        {tabs.map((tab, place) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${prefix}-${tab.id}`}
            aria-controls={`${prefix}-panel`}
            aria-selected={place === index}
            tabIndex={place === index ? 0 : -1}
            onClick={() => setCurrent(tab.id)}
          >
            {tab.title}
          </button>
        ))}
      </div>
      <div class="tab-panel" role="tabpanel" id={`${prefix}-panel`} aria-labelledby={`${prefix}-${tabs[index].id}`}>
        {tabs[index].content}
      </div>
    </div>
  );
}
