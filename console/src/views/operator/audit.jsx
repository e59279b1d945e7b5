/** Shows the last audit of the credits: what it covered, and what it found. */

import { call } from "../../api.js";
import { duration, number } from "../../format.js";
import { useLoad } from "../../load.js";
import { Empty } from "../../parts/empty.jsx";
import { Figures } from "../../parts/figures.jsx";
import { Loaded } from "../../parts/loaded.jsx";
import { Page } from "../../parts/page.jsx";
import { Table } from "../../parts/table.jsx";
import { Time } from "../../parts/time.jsx";
import { UserLink } from "../../parts/user-link.jsx";

/** @type {import("../../router.js").View} */
export const audit = {
  path: "/operator/audit",
  title: "Audit",
  nav: "operator",
  access: "admin",
  component: Audit,
};

function Audit() {
  const load = useLoad(() => call("getAudit"), []);
  return (
    <Page
      title="Audit"
      lead="The audit checks that every balance is the sum of its ledger, and that every request was paid for once."
    >
      <Loaded of={load}>
        {({ audit: last }) =>
          last ? (
            <Last of={last} />
          ) : (
            <Empty title="There is no audit yet">
              Run <code>make audit</code>. Each day, an audit also runs by itself.
            </Empty>
          )
        }
      </Loaded>
    </Page>
  );
}

/** @param {{of: any}} props */
function Last({ of }) {
  const { covered, balances } = of;
  return (
    <div class="stack">
      <Verdict of={of} />
      <Figures
        label="What was checked"
        of={[
          { name: "Users", value: number(covered.users) },
          { name: "Ledger entries", value: number(covered.entries) },
          { name: "Requests", value: number(covered.requests) },
          ...(balances
            ? [
                {
                  name: "All balances",
                  value: number(balances.balances),
                  isBad: balances.balances !== balances.ledgers,
                  notes: [`${number(balances.ledgers)} in all ledgers`],
                },
              ]
            : []),
        ]}
      />
      <p class="muted">
        {of.kind === "full" ? "A full audit, of all users." : "A daily audit, of the users with new entries and of a thirtieth of all users."}{" "}
        It began at <Time at={of.startedAt} />
        {of.endedAt && (
          <>
            {" "}
            and ended at <Time at={of.endedAt} />
          </>
        )}
        .
        {of.entriesSince && of.entriesUntil && (
          <>
            {" "}
            It covers the entries from <Time at={of.entriesSince} /> to <Time at={of.entriesUntil} />.
          </>
        )}
      </p>
      {of.findings.length > 0 && <Findings of={of} />}
      {of.leftOutCount > 0 && <LeftOut of={of} />}
    </div>
  );
}

/** @param {{of: any}} props */
function Verdict({ of }) {
  const ago = of.secondsSince < 60 ? "less than a minute ago" : `${duration(of.secondsSince * 1000)} ago`;
  if (of.findingCount > 0) {
    return (
      <p class="verdict bad card">
        <strong>{number(of.findingCount)} {of.findingCount === 1 ? "finding" : "findings"}.</strong> The runbook
        (docs/runbook.md) tells you how to repair each. Updated {ago}.
      </p>
    );
  }
  if (!of.isOver) return <p class="verdict card">The audit goes on. It has found nothing so far.</p>;
  return (
    <p class="verdict good card">
      <strong>Nothing is wrong.</strong> The audit ended {ago}.
    </p>
  );
}

/** @param {{of: any}} props */
function Findings({ of }) {
  return (
    <>
      <h2>Findings</h2>
      <Table
        caption="Findings of the audit"
        columns={["Rule", "User", "Finding", "Documents"]}
      >
        {of.findings.map((/** @type {any} */ finding, /** @type {number} */ index) => (
          <tr key={index}>
            <th scope="row" class="prose">
              <code>{finding.rule}</code>
              <div class="muted">{finding.ruleDescription}</div>
            </th>
            <td>{finding.userId ? <UserLink id={finding.userId} /> : "none"}</td>
            <td class="prose">{finding.message}</td>
            <td>
              {finding.documents.map((/** @type {string} */ path) => (
                <div key={path}>
                  <code>{path}</code>
                </div>
              ))}
            </td>
          </tr>
        ))}
      </Table>
      {of.findingCount > of.findings.length && (
        <p>
          These are the first {number(of.findings.length)} of {number(of.findingCount)} findings. <code>make audit</code>{" "}
          prints all of them.
        </p>
      )}
    </>
  );
}

/** @param {{of: any}} props */
function LeftOut({ of }) {
  return (
    <>
      <h2>Left out</h2>
      <p>
        These users have too many entries for the daily audit. <code>make audit</code> checks them too.
      </p>
      <ul>
        {of.leftOut.map((/** @type {string} */ id) => (
          <li key={id}>
            <UserLink id={id} />
          </li>
        ))}
        {of.leftOutCount > of.leftOut.length && <li>and {number(of.leftOutCount - of.leftOut.length)} more</li>}
      </ul>
    </>
  );
}
