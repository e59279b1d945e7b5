/** The user's requests, with filters and pages. */

import { call } from "../api.js";
import { useCatalog } from "../catalog.js";
import { number } from "../format.js";
import { useDocument } from "../live.js";
import { usePages } from "../load.js";
import { Amount } from "../parts/amount.jsx";
import { Empty } from "../parts/empty.jsx";
import { Field } from "../parts/field.jsx";
import { Paged } from "../parts/loaded.jsx";
import { Page } from "../parts/page.jsx";
import { Picture } from "../parts/picture.jsx";
import { Status } from "../parts/status.jsx";
import { Table } from "../parts/table.jsx";
import { Time } from "../parts/time.jsx";
import { href, navigate } from "../router.js";

const STATUSES = ["pending", "processing", "completed", "failed", "canceled"];
const OPTIONS = ["status", "model", "style", "color", "size"];
const PAGE_SIZE = 20;

/** @type {import("../router.js").View} */
export const requests = { path: "/requests", title: "Requests", nav: "user", component: Requests };

/** @param {import("../router.js").ViewProps} props */
function Requests({ query }) {
  const filter = Object.fromEntries([...query].filter(([name]) => [...OPTIONS, "from", "to"].includes(name)));
  const isFiltered = Object.keys(filter).length > 0;
  const list = usePages(
    (pageToken) =>
      call("listGenerationRequests", { ...asked(filter), pageSize: PAGE_SIZE, pageToken, includeTotalCount: !pageToken }),
    (page) => page.requests,
    [query.toString()],
  );
  const total = list.first?.totalCount;
  return (
    <Page
      title="Requests"
      lead="Each picture that you asked for, newest first."
      actions={
        <button class="button" type="button" onClick={() => void list.reload()}>
          Reload
        </button>
      }
    >
      <Filters filter={filter} />
      <p class="muted" role="status">
        {total !== undefined && `${number(total)} ${total === 1 ? "request" : "requests"}`}
      </p>
      <Paged
        of={list}
        waiting="Loading your requests"
        empty={
          isFiltered ? (
            <Empty title="No request matches.">
              Change the filters, or <a href={href("/requests")}>remove them</a>.
            </Empty>
          ) : (
            <Empty title="No requests yet.">
              Make your first picture in the <a href={href("/playground")}>playground</a>.
            </Empty>
          )
        }
      >
        {(items) => (
          <Table
            caption="Requests"
            columns={["Picture", "Prompt", "Status", { title: "Credits", isNumeric: true }, "Created"]}
          >
            {items.map((request) => (
              <Row key={request.generationRequestId} request={request} />
            ))}
          </Table>
        )}
      </Paged>
    </Page>
  );
}

/** @param {{request: Record<string, any>}} props */
function Row({ request }) {
  const { generationRequestId: id, prompt, model, style, color, size, createdAt } = request;
  // A request that has ended does not change, so only the others are listened to.
  const isOpen = request.status === "pending" || request.status === "processing";
  const { value } = useDocument(isOpen ? `generationRequests/${id}` : null);
  const status = value?.status ?? request.status;
  const net = value?.error ? request.cost - (value.error.refundedCredits ?? 0) : request.netCredits;
  const thumbnail = request.variants?.find((/** @type {any} */ each) => each.name === "thumbnail")?.url;
  const url = thumbnail ?? value?.imageUrl ?? request.imageUrl;
  return (
    <tr>
      <td>{url ? <Picture url={url} prompt={prompt} isSmall /> : <span class="thumbnail missing" />}</td>
      <td class="prompt">
        <a href={href(`/requests/${id}`)}>{prompt}</a>
        <span class="muted">
          {model}, {style}, {color}, {size}
        </span>
      </td>
      <td>
        <Status of={status} />
      </td>
      <td class="numeric">
        <Amount credits={net} />
      </td>
      <td>
        <Time at={createdAt} />
      </td>
    </tr>
  );
}

/**
 * Return the fields of the function for the filter in the URL. The days are those of the viewer.
 * @param {Record<string, string>} filter
 */
function asked({ from, to, ...options }) {
  const start = from && new Date(`${from}T00:00`);
  const end = to && new Date(`${to}T00:00`);
  if (end) end.setDate(end.getDate() + 1);
  return {
    ...options,
    ...(start && { createdFrom: start.toISOString() }),
    ...(end && { createdBefore: end.toISOString() }),
  };
}

/** @param {{filter: Record<string, string>}} props */
function Filters({ filter }) {
  const { value: offer } = useCatalog();
  /** @type {Record<string, string[]>} */
  const values = {
    status: STATUSES,
    model: names(offer?.models),
    style: names(offer?.styles),
    color: names(offer?.colors),
    size: names(offer?.sizes),
  };
  const change = (/** @type {string} */ name, /** @type {string} */ value) =>
    navigate("/requests", { ...filter, [name]: value });
  return (
    <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      {OPTIONS.map((name) => (
        <Field key={name} label={name[0].toUpperCase() + name.slice(1)}>
          <select value={filter[name] ?? ""} onChange={(event) => change(name, event.currentTarget.value)}>
            <option value="">any</option>
            {withCurrent(values[name], filter[name]).map((value) => (
              <option key={value}>{value}</option>
            ))}
          </select>
        </Field>
      ))}
      {["from", "to"].map((name) => (
        <Field key={name} label={name === "from" ? "From day" : "To day"}>
          <input
            type="date"
            value={filter[name] ?? ""}
            onChange={(event) => change(name, event.currentTarget.value)}
          />
        </Field>
      ))}
      {Object.keys(filter).length > 0 && (
        <a class="button" href={href("/requests")}>
          Remove the filters
        </a>
      )}
    </form>
  );
}

/** @param {import("../catalog.js").Option[]} [options] */
function names(options = []) {
  return options.map(({ name }) => name);
}

/**
 * @param {string[]} values
 * @param {string | undefined} current which may be an option that is not on offer any more
 */
function withCurrent(values, current) {
  return current && !values.includes(current) ? [...values, current] : values;
}
