/** Lists the weekly reports, and runs the report of a week. */

import { useState } from "preact/hooks";
import { call } from "../../api.js";
import { number, share } from "../../format.js";
import { useAction, usePages } from "../../load.js";
import { ActionButton } from "../../parts/action-button.jsx";
import { ErrorNote } from "../../parts/error-note.jsx";
import { Field } from "../../parts/field.jsx";
import { Paged } from "../../parts/loaded.jsx";
import { Page } from "../../parts/page.jsx";
import { Table } from "../../parts/table.jsx";
import { Time } from "../../parts/time.jsx";
import { href, navigate } from "../../router.js";
import { REPORT_SECONDS, reportPath, weekBefore } from "./weeks.js";

/** @type {import("../../router.js").View} */
export const reports = {
  path: "/operator/reports",
  title: "Weekly reports",
  nav: "operator",
  access: "admin",
  component: Reports,
};

function Reports() {
  const pages = usePages(
    (pageToken) => call("listWeeklyReports", { pageSize: 20, pageToken }),
    (page) => page.reports,
    [],
  );
  return (
    <Page title="Weekly reports" lead="Usage and unusual activity of each week. The report runs on Mondays at 06:00 UTC.">
      <RunForm />
      <Paged of={pages} empty="There are no reports yet. Run the first one.">
        {(items) => (
          <Table
            caption="Weekly reports, newest first"
            columns={[
              "Week",
              { title: "Requests", isNumeric: true },
              { title: "Success rate", isNumeric: true },
              { title: "Net credits", isNumeric: true },
              { title: "Anomalies", isNumeric: true },
              "Made",
            ]}
          >
            {items.map((report) => (
              <tr key={report.week}>
                <th scope="row">
                  <a href={href(reportPath(report.week))}>{report.week}</a>
                </th>
                <td class="numeric">{number(report.total.requests)}</td>
                <td class="numeric">{share(report.total.successRate)}</td>
                <td class="numeric">{number(report.total.creditsNet)}</td>
                <td class={report.anomalies.length ? "numeric bad" : "numeric"}>{number(report.anomalies.length)}</td>
                <td>
                  <Time at={report.generatedAt} />
                </td>
              </tr>
            ))}
          </Table>
        )}
      </Paged>
    </Page>
  );
}

function RunForm() {
  const [week, setWeek] = useState(() => weekBefore(new Date()));
  const run = useAction(async () => {
    const { report } = await call("runWeeklyReport", { week: week.trim() }, { timeoutSeconds: REPORT_SECONDS });
    navigate(reportPath(report.week));
  });
  return (
    <form
      class="stack"
      aria-label="Run a report"
      onSubmit={(event) => {
        event.preventDefault();
        void run.run();
      }}
    >
      <div class="row bottom">
        <Field label="Week, such as 2026-W46">
          <input
            required
            pattern="[0-9]{4}-W[0-9]{2}"
            value={week}
            onInput={(event) => setWeek(event.currentTarget.value)}
          />
        </Field>
        <ActionButton action={run} type="submit">Run its report</ActionButton>
      </div>
      <ErrorNote error={run.error} />
    </form>
  );
}
