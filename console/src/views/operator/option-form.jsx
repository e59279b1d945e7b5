/** Changes the fields of an option. */

import { useState } from "preact/hooks";
import { call } from "../../api.js";
import { useAction } from "../../load.js";
import { ActionButton } from "../../parts/action-button.jsx";
import { Field } from "../../parts/field.jsx";
import { OptionRefusal } from "./option-refusal.jsx";

/**
 * @typedef {{name: string, label: string, hint?: string, number?: {min: number, max?: number, step: "any" | "1"}}} Input
 * @type {Record<string, Input[]>}
 */
const INPUTS = {
  model: [
    { name: "provider", label: "Provider" },
    { name: "providerModel", label: "Model of the provider" },
    { name: "failureRate", label: "Failure rate", hint: "Of a mock, 0 to 1", number: { min: 0, max: 1, step: "any" } },
    { name: "latencySeconds", label: "Latency in seconds", hint: "Of a mock", number: { min: 0, step: "any" } },
    { name: "timeoutSeconds", label: "Time limit in seconds", number: { min: 0, max: 60, step: "any" } },
  ],
  style: [],
  color: [],
  size: [{ name: "creditCost", label: "Price in credits", number: { min: 1, step: "1" } }],
};
/** @type {Input} */
const ORDER = { name: "order", label: "Position", hint: "Lower numbers come first", number: { min: 0, step: "1" } };

/** @param {{option: any, onSaved: () => Promise<void>, close: () => void}} props */
export function OptionForm({ option, onSaved, close }) {
  const inputs = [...INPUTS[option.kind], ORDER];
  const [texts, setTexts] = useState(() => textsOf(inputs, option));
  const changes = changesOf(inputs, option, texts);
  const save = useAction(async () => {
    const { kind, id, version } = option;
    await call("updateCatalogOption", { kind, id, version, changes });
    await onSaved();
    close();
  });
  /** @param {string} name */
  const control = (name) => ({
    value: texts[name],
    onInput: (/** @type {import("preact").TargetedInputEvent<HTMLInputElement>} */ event) =>
      setTexts({ ...texts, [name]: event.currentTarget.value }),
  });
  return (
    <form
      class="card stack"
      aria-label={`Edit ${option.name}`}
      onSubmit={(event) => {
        event.preventDefault();
        void save.run();
      }}
    >
      <h3>{option.name}</h3>
      <div class="grid">
        {inputs.map(({ name, label, hint, number }) => (
          <Field key={name} label={label} hint={hint}>
            {number ? <input type="number" {...number} {...control(name)} /> : <input {...control(name)} />}
          </Field>
        ))}
      </div>
      <OptionRefusal error={save.error} reload={() => void onSaved().then(save.reset)} />
      <div class="row">
        <ActionButton action={save} type="submit" kind="primary" disabled={Object.keys(changes).length === 0}>
          Save
        </ActionButton>
        <button class="button" type="button" onClick={close}>
          Close
        </button>
      </div>
    </form>
  );
}

/**
 * @param {Input[]} inputs
 * @param {any} option
 * @returns {Record<string, string>}
 */
function textsOf(inputs, option) {
  return Object.fromEntries(inputs.map(({ name }) => [name, String(option[name] ?? "")]));
}

/**
 * Return the fields that were changed. An empty field stays as it is.
 * @param {Input[]} inputs
 * @param {any} option
 * @param {Record<string, string>} texts
 */
function changesOf(inputs, option, texts) {
  const changed = inputs.filter(({ name }) => texts[name].trim() && texts[name] !== String(option[name] ?? ""));
  return Object.fromEntries(
    changed.map(({ name, number }) => [name, number ? Number(texts[name]) : texts[name].trim()]),
  );
}
