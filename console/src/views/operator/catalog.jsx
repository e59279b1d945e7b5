/** Shows the catalog with its withdrawn options, changes options, and shows who changed them. */

import { useState } from "preact/hooks";
import { call } from "../../api.js";
import { credits, number, share } from "../../format.js";
import { useAction, useLoad } from "../../load.js";
import { ActionButton } from "../../parts/action-button.jsx";
import { Empty } from "../../parts/empty.jsx";
import { Loaded } from "../../parts/loaded.jsx";
import { Page } from "../../parts/page.jsx";
import { Status } from "../../parts/status.jsx";
import { Table } from "../../parts/table.jsx";
import { Time } from "../../parts/time.jsx";
import { OptionForm } from "./option-form.jsx";
import { OptionRefusal } from "./option-refusal.jsx";
import { UserLink } from "../../parts/user-link.jsx";

/** @type {Record<string, string>} */
const TITLES = { model: "Models", style: "Styles", color: "Colors", size: "Sizes" };

/** @type {import("../../router.js").View} */
export const catalog = {
  path: "/operator/catalog",
  title: "Catalog",
  nav: "operator",
  access: "admin",
  component: Catalog,
};

function Catalog() {
  const load = useLoad(() => call("listCatalogOptions"), []);
  return (
    <Page title="Catalog" lead="The options that users can choose. A change works for all calls within five seconds.">
      <Loaded of={load}>
        {(value) => (
          <div class="stack">
            <Unreadable of={value.unreadable} />
            {Object.entries(TITLES).map(([kind, title]) => (
              <section key={kind} class="stack">
                <h2>{title}</h2>
                <Options
                  kind={kind}
                  title={title}
                  of={value.options.filter((/** @type {any} */ option) => option.kind === kind)}
                  reload={load.reload}
                />
              </section>
            ))}
            <h2>Changes</h2>
            <Changes of={value.changes} options={value.options} />
          </div>
        )}
      </Loaded>
    </Page>
  );
}

/** @param {{of: any[]}} props */
function Unreadable({ of }) {
  if (of.length === 0) return null;
  return (
    <div class="error" role="alert">
      <p>These options cannot be read, so nobody can choose them. Repair their documents.</p>
      <ul>
        {of.map((option) => (
          <li key={option.path}>
            <code>{option.path}</code>:{" "}
            {option.problems
              .map((/** @type {any} */ problem) => `${problem.field} ${problem.message}`)
              .join(", ")}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** @param {{kind: string, title: string, of: any[], reload: () => Promise<void>}} props */
function Options({ kind, title, of, reload }) {
  const [editedId, setEditedId] = useState("");
  const edited = of.find((option) => option.id === editedId);
  return (
    <>
      <Table caption={title} columns={["Name", "State", ...COLUMNS[kind], { title: "Actions", isNumeric: true }]}>
        {of.map((option) => (
          <Row
            key={option.id}
            of={option}
            reload={reload}
            isEdited={option === edited}
            edit={(isEdited) => setEditedId(isEdited ? option.id : "")}
          />
        ))}
      </Table>
      {edited && (
        // A change by somebody else starts the form again, so that saving does not undo it.
        <OptionForm
          key={`${edited.id} ${edited.version}`}
          option={edited}
          onSaved={reload}
          close={() => setEditedId("")}
        />
      )}
    </>
  );
}

/** @type {Record<string, (string | {title: string, isNumeric: boolean})[]>} */
const COLUMNS = {
  model: ["Provider", { title: "Failure rate", isNumeric: true }, { title: "Time limit", isNumeric: true }],
  style: [],
  color: [],
  size: [{ title: "Price", isNumeric: true }],
};

/** @param {{of: any, reload: () => Promise<void>, isEdited: boolean, edit: (isEdited: boolean) => void}} props */
function Row({ of, reload, isEdited, edit }) {
  const { kind, id, name, version, enabled } = of;
  const toggle = useAction(async () => {
    await call("updateCatalogOption", { kind, id, version, changes: { enabled: !enabled } });
    await reload();
  });
  const columns = 3 + COLUMNS[kind].length;
  return (
    <>
      <tr>
        <th scope="row">
          {name}
          <div class="muted">
            <code>{id}</code>
          </div>
        </th>
        <td>
          <Status of={enabled ? "enabled" : "turned off"} />
        </td>
        <Cells of={of} />
        <td>
          <div class="row end">
            <ActionButton action={toggle} onClick={() => void toggle.run()}>
              {enabled ? "Turn off" : "Turn on"}
              <span class="sr-only"> {name}</span>
            </ActionButton>
            <button class="button" type="button" aria-expanded={isEdited} onClick={() => edit(!isEdited)}>
              Edit<span class="sr-only"> {name}</span>
            </button>
          </div>
        </td>
      </tr>
      {toggle.error && (
        <tr>
          <td colSpan={columns}>
            <OptionRefusal error={toggle.error} reload={() => void reload().then(toggle.reset)} />
          </td>
        </tr>
      )}
    </>
  );
}

/** @param {{of: any}} props */
function Cells({ of }) {
  if (of.kind === "size") return <td class="numeric">{credits(of.creditCost)}</td>;
  if (of.kind !== "model") return null;
  return (
    <>
      <td>
        {of.provider}
        {of.providerModel && (
          <div class="muted">
            <code>{of.providerModel}</code>
          </div>
        )}
      </td>
      <td class="numeric">{share(of.failureRate)}</td>
      <td class="numeric">{of.timeoutSeconds === undefined ? "" : `${number(of.timeoutSeconds)} s`}</td>
    </>
  );
}

/** @param {{of: any[], options: any[]}} props */
function Changes({ of, options }) {
  if (of.length === 0) {
    return <Empty title="No option was changed here yet">You see who changed an option, when and how.</Empty>;
  }
  /** @param {any} change */
  const nameOf = (change) =>
    options.find((option) => option.kind === change.kind && option.id === change.id)?.name ?? change.id;
  return (
    <Table caption="The latest changes of options, newest first" columns={["Time", "Option", "Change", "By"]}>
      {of.map((change) => (
        <tr key={change.changeId}>
          <td>
            <Time at={change.changedAt} />
          </td>
          <th scope="row">
            {nameOf(change)} <span class="muted">({change.kind})</span>
          </th>
          <td>
            {change.fields.map((/** @type {any} */ { field, before, after }) => (
              <div key={field}>
                {field}: {before === undefined ? "unset" : String(before)} → {String(after)}
              </div>
            ))}
          </td>
          <td>
            <UserLink id={change.changedBy} />
          </td>
        </tr>
      ))}
    </Table>
  );
}
