/** Shows the report of one week. */

import { call } from "../../api.js";
import { duration, money, number, share } from "../../format.js";
import { useAction, useLoad } from "../../load.js";
import { ActionButton } from "../../parts/action-button.jsx";
import { ErrorNote } from "../../parts/error-note.jsx";
import { Figures } from "../../parts/figures.jsx";
import { Loaded } from "../../parts/loaded.jsx";
import { Page } from "../../parts/page.jsx";
import { Table } from "../../parts/table.jsx";
import { Time } from "../../parts/time.jsx";
import { ReportDays } from "./report-days.jsx";
import { UserLink } from "../../parts/user-link.jsx";
import { REPORT_SECONDS, date } from "./weeks.js";

/** @type {import("../../router.js").View} */
export const report = {
  path: "/operator/reports/:week",
  title: "Weekly report",
  access: "admin",
  component: Report,
};

/** @param {import("../../router.js").ViewProps} props */
function Report({ params }) {
  const { week } = params;
  const load = useLoad(() => call("getWeeklyReport", { week }), [week]);
  const again = useAction(async () => {
    await call("runWeeklyReport", { week }, { timeoutSeconds: REPORT_SECONDS });
    await load.reload();
  });
  return (
    <Page
      title={`Week ${week}`}
      lead="Usage, credits and unusual activity of one week."
      actions={
        <ActionButton action={again} onClick={() => again.run()}>
          {load.error?.reason === "REPORT_NOT_FOUND" ? "Run it now" : "Run it again"}
        </ActionButton>
      }
    >
      <ErrorNote error={again.error} />
      <Loaded of={load}>{(value) => <Contents of={value.report} />}</Loaded>
    </Page>
  );
}

/** @param {{of: any}} props */
function Contents({ of }) {
  const days = of.days.map((/** @type {any} */ day) => day.day);
  return (
    <div class="stack">
      <p class="muted">
        {date(days[0])} to {date(days.at(-1))}. Made at <Time at={of.generatedAt} />.
      </p>
      <MainFigures of={of} />
      <h2>Unusual activity</h2>
      <Anomalies of={of} />
      <h2>Requests by day</h2>
      <ReportDays of={of} />
      <h2>Credits</h2>
      <p class="card">{reconciliation(of.reconciliation)}</p>
      {of.sales && <Sales of={of.sales} spent={of.paidFrom.paid} />}
      <h2>Options</h2>
      <Tallies caption="Requests by model" title="Model" of={of.models} />
      <Tallies caption="Requests by style" title="Style" of={of.styles} />
      <Tallies caption="Requests by color" title="Color" of={of.colors} />
      <Tallies caption="Requests by size" title="Size" of={of.sizes} />
      <h2>Top users</h2>
      <TopUsers of={of.topUsers} />
      {of.revisions.length > 0 && <Revisions of={of.revisions} />}
    </div>
  );
}

/** @param {{of: any}} props */
function MainFigures({ of }) {
  const { total, processing, users, forecast, paidFrom } = of;
  return (
    <Figures
      label="The week in numbers"
      of={[
        { name: "Requests", value: number(total.requests), notes: [`${number(total.failed)} failed`] },
        { name: "Success rate", value: share(total.successRate), notes: [`${share(total.refundShare)} refunded`] },
        {
          name: "Net credits",
          value: number(total.creditsNet),
          notes: [`${number(total.creditsDeducted)} deducted`, `${number(paidFrom.trial)} of it trial`],
        },
        { name: "Active users", value: number(users.active), notes: [`${number(users.new)} new`] },
        {
          name: "Median time",
          value: processing.medianMs == null ? "–" : duration(processing.medianMs),
          notes: processing.p95Ms == null ? [] : [`95% in ${duration(processing.p95Ms)}`],
        },
        {
          name: "Next week",
          value: forecast ? number(forecast.credits) : "–",
          notes: forecast ? [`${number(forecast.low)} to ${number(forecast.high)} credits`] : ["no forecast yet"],
        },
      ]}
    />
  );
}

/** @param {{of: any}} props */
function Anomalies({ of }) {
  return (
    <>
      {of.anomalies.length === 0 ? (
        <p class="card good">Nothing unusual in requests and failures.</p>
      ) : (
        <ul class="anomalies">
          {of.anomalies.map((/** @type {any} */ anomaly, /** @type {number} */ index) => (
            <li key={index} class="card">
              <span class={anomaly.severity === "high" ? "badge bad" : "badge warn"}>{anomaly.severity}</span>{" "}
              {anomaly.message}
            </li>
          ))}
        </ul>
      )}
      <p class="muted">{tested(of)}</p>
    </>
  );
}

/** @param {any} report */
function tested({ seriesTested, notEnoughHistory }) {
  const names = notEnoughHistory.map((/** @type {any} */ subject) => `${subject.name} (${subject.scope})`);
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  const skipped = names.length ? ` Not enough history yet: ${names.slice(0, 3).join(", ")}${more}.` : "";
  return `${number(seriesTested)} series were compared with their own past weeks.${skipped}`;
}

/** @param {any} found */
function reconciliation(found) {
  if (!found) return "This week was not reconciled.";
  if (found.difference) return "The balances and the ledgers differ, as the anomaly above says. Run make audit.";
  const moves = Object.entries(found.booked)
    .filter(([, amount]) => amount)
    .map(([type, amount]) => `${signed(/** @type {number} */ (amount))} ${type}s`);
  if (found.changedEarlier) moves.push(`${signed(found.changedEarlier)} in entries of earlier weeks`);
  return (
    `Balanced: ${number(found.opening)} credits at the start, ${moves.join(", ") || "no changes"}, ` +
    `${number(found.closing)} at the end.`
  );
}

/** @param {{of: any[], spent: number}} props */
function Sales({ of, spent }) {
  const sold = of.reduce((sum, { credits }) => sum + credits, 0);
  return (
    <>
      <h2>Sales</h2>
      <p>
        {number(sold)} credits were sold, and {number(spent)} paid credits were spent. Refunds and disputes are counted
        until the report was made.
      </p>
      {of.length > 0 && (
        <Table
          caption="Sales by currency"
          columns={[
            "Currency",
            { title: "Purchases", isNumeric: true },
            { title: "Amount", isNumeric: true },
            { title: "Credits", isNumeric: true },
            { title: "Refunded", isNumeric: true },
            { title: "Disputed", isNumeric: true },
          ]}
        >
          {of.map((sales) => (
            <tr key={sales.currency}>
              <th scope="row">{sales.currency.toUpperCase()}</th>
              <td class="numeric">{number(sales.purchases)}</td>
              <td class="numeric">{money(sales.amount, sales.currency)}</td>
              <td class="numeric">{number(sales.credits)}</td>
              <td class="numeric">{money(sales.amountRefunded, sales.currency)}</td>
              <td class={sales.amountDisputed ? "numeric bad" : "numeric"}>
                {money(sales.amountDisputed, sales.currency)}
              </td>
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}

/** @param {number} amount */
const signed = (amount) => `${amount < 0 ? "\u2212" : "+"}${number(Math.abs(amount))}`;

/** @param {{caption: string, title: string, of: any[]}} props */
function Tallies({ caption, title, of }) {
  return (
    <Table
      caption={caption}
      columns={[
        title,
        { title: "Requests", isNumeric: true },
        { title: "Failed", isNumeric: true },
        { title: "Success", isNumeric: true },
        { title: "Deducted", isNumeric: true },
        { title: "Refunded", isNumeric: true },
        { title: "Net", isNumeric: true },
      ]}
    >
      {of.map((tally) => (
        <tr key={tally.name}>
          <th scope="row">{tally.name}</th>
          <td class="numeric">{number(tally.requests)}</td>
          <td class="numeric">{number(tally.failed)}</td>
          <td class="numeric">{share(tally.successRate)}</td>
          <td class="numeric">{number(tally.creditsDeducted)}</td>
          <td class="numeric">{number(tally.creditsRefunded)}</td>
          <td class="numeric">{number(tally.creditsNet)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** @param {{of: any[]}} props */
function TopUsers({ of }) {
  return (
    <Table
      caption="The users with the most requests"
      columns={[
        "User",
        { title: "Requests", isNumeric: true },
        { title: "Failed", isNumeric: true },
        { title: "Deducted", isNumeric: true },
        { title: "Refunded", isNumeric: true },
      ]}
    >
      {of.map((user) => (
        <tr key={user.userId}>
          <th scope="row">
            <UserLink id={user.userId} />
          </th>
          <td class="numeric">{number(user.requests)}</td>
          <td class="numeric">{number(user.failed)}</td>
          <td class="numeric">{number(user.creditsDeducted)}</td>
          <td class="numeric">{number(user.creditsRefunded)}</td>
        </tr>
      ))}
    </Table>
  );
}

/** @param {{of: any[]}} props */
function Revisions({ of }) {
  return (
    <>
      <h2>Corrections by later runs</h2>
      <ul>
        {of.map((revision) => (
          <li key={revision.at}>
            <Time at={revision.at} />:{" "}
            {[
              ...Object.entries(revision.figures).map(
                ([name, { before, after }]) => `${name} ${number(before)} → ${number(after)}`,
              ),
              ...revision.parts,
            ].join(", ")}
          </li>
        ))}
      </ul>
    </>
  );
}
