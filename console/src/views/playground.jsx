/** Make a picture, and see the call behind the click. */

import { useState } from "preact/hooks";
import { call } from "../api.js";
import { useCatalog } from "../catalog.js";
import { credits } from "../format.js";
import { useDocument } from "../live.js";
import { useAction, useIdempotent } from "../load.js";
import { ActionButton } from "../parts/action-button.jsx";
import { Code } from "../parts/code.jsx";
import { CopyToken } from "../parts/copy-token.jsx";
import { Empty } from "../parts/empty.jsx";
import { ErrorNote } from "../parts/error-note.jsx";
import { Field } from "../parts/field.jsx";
import { LiveRequest } from "../parts/live-request.jsx";
import { Loaded } from "../parts/loaded.jsx";
import { Page } from "../parts/page.jsx";
import { Tabs } from "../parts/tabs.jsx";
import { href, navigate } from "../router.js";
import { session } from "../session.js";
import { createCalls } from "../snippets.js";

/** @typedef {import("../catalog.js").Catalog} Catalog */

/** @type {import("../router.js").View} */
export const playground = { path: "/playground", title: "Playground", nav: "user", component: Playground };

/** @param {import("../router.js").ViewProps} props */
function Playground({ query }) {
  const catalog = useCatalog({ isLive: true });
  return (
    <Page title="Playground" lead="Describe a picture. The size alone sets the price, and a failed picture costs nothing.">
      <Loaded of={catalog} waiting="Loading the options" empty={whatIsMissing}>
        {(offer) => <Studio offer={offer} shownId={query.get("request")} />}
      </Loaded>
    </Page>
  );
}

/** @param {Catalog} offer */
function whatIsMissing(offer) {
  const missing = Object.entries(offer).find(([, options]) => options.length === 0);
  if (!missing) return null;
  return <Empty title={`No ${missing[0]} are on offer now.`}>The operator can enable one in the catalog.</Empty>;
}

/** @param {{offer: Catalog, shownId: string | null}} props */
function Studio({ offer, shownId }) {
  const [chosen, setChosen] = useState({ prompt: "", seed: "", model: "", style: "", color: "", size: "" });
  const [sent, setSent] = useState(/** @type {Record<string, any> | null} */ (null));
  /** @param {Partial<typeof chosen>} change */
  const choose = (change) => {
    setChosen({ ...chosen, ...change });
    setSent(null);
  };
  const model = present(offer.models, chosen.model);
  const style = present(offer.styles, chosen.style);
  const color = present(offer.colors, chosen.color);
  const size = present(offer.sizes, chosen.size);
  /** @type {Record<string, any>} */
  const payload = {
    model: model.name,
    style: style.name,
    color: color.name,
    size: size.name,
    prompt: chosen.prompt,
    // The price that is shown. If it is higher by now, the call is refused instead of charged.
    maxCredits: size.creditCost,
    mode: "async",
    ...(model.takesSeed && chosen.seed && { seed: Number(chosen.seed) }),
  };
  const createOnce = useIdempotent(async (/** @type {Record<string, any>} */ data, idempotencyKey) => {
    setSent({ ...data, idempotencyKey });
    return call("createGenerationRequest", { ...data, idempotencyKey });
  });
  const create = useAction(async () => {
    const { generationRequestId } = await createOnce(payload);
    navigate("/playground", { request: generationRequestId });
  });
  return (
    <div class="studio">
      <form
        class="card stack"
        aria-label="Options"
        onSubmit={(event) => {
          event.preventDefault();
          void create.run();
        }}
      >
        <Field label="Prompt" hint="What to draw, in up to 2,000 characters.">
          <textarea
            rows={3}
            required
            maxLength={2000}
            placeholder="a lighthouse at dusk"
            value={chosen.prompt}
            onInput={(event) => choose({ prompt: event.currentTarget.value })}
          />
        </Field>
        <div class="pair">
          <Choice label="Model" options={offer.models} value={model} onChoose={(id) => choose({ model: id })} />
          <Choice label="Style" options={offer.styles} value={style} onChoose={(id) => choose({ style: id })} />
          <Choice label="Color" options={offer.colors} value={color} onChoose={(id) => choose({ color: id })} />
          {model.takesSeed && (
            <Field label="Seed (optional)">
              <input
                type="number"
                min={0}
                step={1}
                value={chosen.seed}
                onInput={(event) => choose({ seed: event.currentTarget.value })}
              />
            </Field>
          )}
        </div>
        <fieldset>
          <legend>Size</legend>
          <div class="sizes">
            {offer.sizes.map((each) => (
              <label key={each.id} class="size">
                <input
                  type="radio"
                  name="size"
                  checked={each.id === size.id}
                  onChange={() => choose({ size: each.id })}
                />
                <span>
                  {each.name}
                  <strong>{credits(each.creditCost)}</strong>
                </span>
              </label>
            ))}
          </div>
        </fieldset>
        <Gone chosen={chosen} offer={offer} />
        <Afterwards cost={size.creditCost} />
        <ErrorNote error={create.error} />
        <ActionButton action={create} type="submit" kind="primary">
          Make it for {credits(size.creditCost)}
        </ActionButton>
      </form>
      <section class="card" aria-label="Result">
        <Tabs
          label="Result"
          tabs={[
            {
              id: "picture",
              title: "Picture",
              content: shownId ? (
                <LiveRequest key={shownId} id={shownId} />
              ) : (
                <Empty title="No picture yet.">Write a prompt, and press the button. You see each step here.</Empty>
              ),
            },
            { id: "call", title: "The call", content: <TheCall data={sent ?? payload} isSent={sent !== null} /> },
          ]}
        />
      </section>
    </div>
  );
}

/**
 * Return the chosen option, or the first one if it is not on offer any more.
 * @template {{id: string}} T
 * @param {T[]} options
 * @param {string} id
 */
function present(options, id) {
  return options.find((option) => option.id === id) ?? options[0];
}

/**
 * @param {{label: string, options: import("../catalog.js").Option[], value: import("../catalog.js").Option,
 *   onChoose: (id: string) => void}} props
 */
function Choice({ label, options, value, onChoose }) {
  return (
    <Field label={label}>
      <select value={value.id} onChange={(event) => onChoose(event.currentTarget.value)}>
        {options.map((option) => (
          <option key={option.id} value={option.id}>
            {option.name}
          </option>
        ))}
      </select>
    </Field>
  );
}

/** Says that a chosen option is not on offer any more. @param {{chosen: Record<string, string>, offer: Catalog}} props */
function Gone({ chosen, offer }) {
  const kinds = { model: offer.models, style: offer.styles, color: offer.colors, size: offer.sizes };
  const gone = Object.entries(kinds).flatMap(([kind, options]) =>
    chosen[kind] && !options.some(({ id }) => id === chosen[kind]) ? [kind] : [],
  );
  return (
    <p role="status">
      {gone.length > 0 && `The chosen ${gone.join(" and ")} is not on offer any more. Another one is chosen.`}
    </p>
  );
}

/** The balance before and after the click. @param {{cost: number}} props */
function Afterwards({ cost }) {
  const { value } = useDocument(`users/${session.value?.uid}`);
  if (!value) return null;
  const { trial = 0, paid = 0 } = value.credits ?? {};
  const balance = trial + paid;
  if (balance < cost) {
    return (
      <p class="note">
        <span>
          You have {credits(balance)}, and this size costs {credits(cost)}. Choose a smaller size, or ask the operator
          for <a href={href("/credits")}>credits</a>.
        </span>
      </p>
    );
  }
  return (
    <p class="muted">
      You have {credits(balance)}, and {credits(balance - cost)} afterwards.
    </p>
  );
}

/** @param {{data: Record<string, any>, isSent: boolean}} props */
function TheCall({ data, isSent }) {
  const calls = createCalls(data);
  return (
    <div class="stack">
      <p class="muted">
        {isSent ? "The call that your click made." : "The call that the button makes."}{" "}
        {!isSent && "Add an idempotencyKey of your own, so that a repeated call is not charged twice."}
      </p>
      <Tabs
        label="Language"
        tabs={calls.map(({ id, title, text, note }) => ({
          id,
          title,
          content: (
            <div class="stack">
              <Code text={text} label={`The call in ${title}`} />
              <p class="muted">{note}</p>
              {id === "curl" && <CopyToken />}
              {id === "rest" && (
                <p>
                  <a href={href("/api-keys")}>Your API keys</a>
                </p>
              )}
            </div>
          ),
        }))}
      />
    </div>
  );
}
