/** Shows the work of now, and the failures of the last hours. */

import { call } from "../../api.js";
import { duration, number, share } from "../../format.js";
import { useLoad } from "../../load.js";
import { Empty } from "../../parts/empty.jsx";
import { Field } from "../../parts/field.jsx";
import { Figures } from "../../parts/figures.jsx";
import { Loaded } from "../../parts/loaded.jsx";
import { Page } from "../../parts/page.jsx";
import { RequestLink } from "../../parts/request-link.jsx";
import { Status } from "../../parts/status.jsx";
import { Table } from "../../parts/table.jsx";
import { navigate } from "../../router.js";
import { Time } from "../../parts/time.jsx";
import { UserLink } from "../../parts/user-link.jsx";

const PERIODS = { 1: "The last hour", 24: "The last 24 hours", 72: "The last 3 days", 168: "The last 7 days" };
const DEFAULT_HOURS = "24";
const REFRESH_SECONDS = 10;
/** From this share of failed requests on, a model is marked. */
const FAILURE_RATE_BAD = 0.1;

/** @type {import("../../router.js").View} */
export const operations = {
  path: "/operator/operations",
  title: "Operations",
  nav: "operator",
  access: "admin",
  component: Operations,
};

/** @param {import("../../router.js").ViewProps} props */
function Operations({ query }) {
  const asked = query.get("hours") ?? "";
  const hours = asked in PERIODS ? asked : DEFAULT_HOURS;
  const load = useLoad(() => call("getOperations", { hours: Number(hours) }), [hours], {
    everySeconds: REFRESH_SECONDS,
  });
  return (
    <Page title="Operations" lead="The requests and webhooks of all users. The numbers follow every ten seconds.">
      <div class="row bottom">
        <Field label="Period">
          <select
            value={hours}
            onChange={(event) => navigate("/operator/operations", { hours: event.currentTarget.value })}
          >
            {Object.entries(PERIODS).map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </select>
        </Field>
      </div>
      <Loaded of={load}>{(value) => <Numbers of={value} />}</Loaded>
    </Page>
  );
}

/** @param {{of: any}} props */
function Numbers({ of }) {
  const { total, webhooks } = of;
  return (
    <div class="stack">
      <Figures
        label="Now and in the period"
        of={[
          { name: "Running", value: number(of.processing) },
          {
            name: "Waiting",
            value: number(of.pending),
            notes: of.oldestPendingSeconds ? [`the oldest for ${duration(of.oldestPendingSeconds * 1000)}`] : [],
          },
          { name: "Completed", value: number(total.completed) },
          { name: "Failed", value: number(total.failed), notes: ended(total) ? [`${failureRate(total)} of those that ended`] : [] },
          { name: "Canceled", value: number(total.canceled) },
          {
            name: "Webhooks",
            value: number(webhooks.failing),
            notes: ["failing", `${number(webhooks.givenUp)} given up in 7 days`],
          },
        ]}
      />
      <h2>Models</h2>
      <Models of={of} />
      <h2>Latest failures</h2>
      <Failures of={of.failures} />
      <h2>Webhooks that fail</h2>
      <Deliveries of={webhooks.deliveries} />
    </div>
  );
}

/** @param {{of: any}} props */
function Models({ of }) {
  const others = of.otherModels ? [{ model: "Other models", ...of.otherModels }] : [];
  return (
    <Table
      caption="Requests by model"
      columns={[
        "Model",
        { title: "Running", isNumeric: true },
        { title: "Waiting", isNumeric: true },
        { title: "Completed", isNumeric: true },
        { title: "Failed", isNumeric: true },
        { title: "Canceled", isNumeric: true },
        { title: "Failure rate", isNumeric: true },
      ]}
    >
      {[...of.models, ...others].map((model) => (
        <tr key={model.model}>
          <th scope="row">
            {model.model} {model.enabled === false && <span class="badge">turned off</span>}
          </th>
          <td class="numeric">{model.processing === undefined ? "" : number(model.processing)}</td>
          <td class="numeric">{model.pending === undefined ? "" : number(model.pending)}</td>
          <td class="numeric">{number(model.completed)}</td>
          <td class="numeric">{number(model.failed)}</td>
          <td class="numeric">{number(model.canceled)}</td>
          <td class={isBad(model) ? "numeric bad" : "numeric"}>{failureRate(model)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** @param {{of: any[]}} props */
function Failures({ of }) {
  if (of.length === 0) return <Empty title="No request has failed">You see failed requests here, newest first.</Empty>;
  return (
    <Table
      caption="The latest failed requests"
      columns={["Failed at", "Model", "Reason", "User", "Request"]}
    >
      {of.map((failure) => (
        <tr key={failure.generationRequestId}>
          <td>
            <Time at={failure.finishedAt} />
          </td>
          <td>{failure.model}</td>
          <td class="prose">
            <code>{failure.reason}</code>
            <div class="muted">{failure.message}</div>
          </td>
          <td>
            <UserLink id={failure.userId} />
          </td>
          <td>
            <RequestLink id={failure.generationRequestId} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** @param {{of: any[]}} props */
function Deliveries({ of }) {
  if (of.length === 0) {
    return <Empty title="No webhook fails">You see webhooks that were refused or given up here.</Empty>;
  }
  return (
    <Table
      caption="Webhooks that fail or were given up"
      columns={[
        "Status",
        { title: "Attempts", isNumeric: true },
        "Last answer",
        "Next attempt",
        "User",
        "Request",
      ]}
    >
      {of.map((delivery) => (
        <tr key={delivery.deliveryId}>
          <td>
            <Status of={delivery.status} />
          </td>
          <td class="numeric">{number(delivery.attemptCount)}</td>
          <td>
            {delivery.lastStatusCode ?? delivery.lastError ?? "none"}
            {delivery.lastAttemptAt && (
              <div class="muted">
                <Time at={delivery.lastAttemptAt} />
              </div>
            )}
          </td>
          <td>{delivery.nextAttemptAt ? <Time at={delivery.nextAttemptAt} /> : "none"}</td>
          <td>
            <UserLink id={delivery.userId} />
          </td>
          <td>
            <RequestLink id={delivery.generationRequestId} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** @param {{completed: number, failed: number}} counts */
const ended = ({ completed, failed }) => completed + failed;

/** @param {{completed: number, failed: number}} counts */
const failureRate = (counts) => share(ended(counts) ? counts.failed / ended(counts) : null);

/** @param {{completed: number, failed: number}} counts */
const isBad = (counts) => counts.failed > 0 && counts.failed / ended(counts) >= FAILURE_RATE_BAD;
