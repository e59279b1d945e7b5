/** The user's credits: both buckets, and each change of the balance. */

import { useState } from "preact/hooks";
import { call } from "../api.js";
import { credits, number } from "../format.js";
import { useDocument } from "../live.js";
import { usePages } from "../load.js";
import { Empty } from "../parts/empty.jsx";
import { ErrorNote } from "../parts/error-note.jsx";
import { Field } from "../parts/field.jsx";
import { Figures } from "../parts/figures.jsx";
import { Paged } from "../parts/loaded.jsx";
import { Page } from "../parts/page.jsx";
import { TransactionsTable } from "../parts/transactions-table.jsx";
import { Waiting } from "../parts/waiting.jsx";
import { href } from "../router.js";
import { session } from "../session.js";

const TYPES = ["grant", "deduction", "refund", "correction", "purchase", "reversal", "reinstatement"];

/** @type {import("../router.js").View} */
export const creditHistory = { path: "/credits", title: "Credits", nav: "user", component: Credits };

function Credits() {
  const account = useDocument(`users/${session.value?.uid}`);
  return (
    <Page title="Credits" lead="What you have, and each change of it. Trial credits are spent first.">
      {account.isLoading && <Waiting>Loading your credits</Waiting>}
      <ErrorNote error={account.error} />
      {account.value && <Buckets account={account.value} />}
      {account.value && <History entries={account.value.ledger?.seq ?? 0} />}
    </Page>
  );
}

/** @param {{account: Record<string, any>}} props */
function Buckets({ account }) {
  const { trial = 0, paid = 0 } = account.credits ?? {};
  const { grant = 0, deduction = 0, refund = 0, correction = 0, purchase = 0, reversal = 0, reinstatement = 0 } = account.lifetime ?? {};
  return (
    <section class="stack" aria-label="Balance">
      <Figures
        label="Credits"
        of={[
          { name: "Available", value: number(trial + paid) },
          { name: "Trial credits", value: number(trial) },
          { name: "Paid credits", value: number(paid) },
        ]}
      />
      <p class="muted">
        In all: {credits(grant)} granted, {number(deduction)} spent, {number(refund)} refunded
        {correction !== 0 && `, ${number(correction)} corrected`}
        {purchase !== 0 && `, ${number(purchase)} bought`}
        {reversal !== 0 && `, ${number(reversal - reinstatement)} of these taken back`}. <a href={href("/purchases")}>Buy credits</a>
      </p>
    </section>
  );
}

/** The history is read again when the user's document tells of a further entry. @param {{entries: number}} props */
function History({ entries }) {
  const [type, setType] = useState("");
  const list = usePages(
    (pageToken) => call("listCreditTransactions", { pageToken, pageSize: 25, ...(type && { type }) }),
    (page) => page.transactions,
    [type, entries],
  );
  return (
    <section class="stack" aria-labelledby="history">
      <div class="page-head">
        <h2 id="history">History</h2>
        <Field label="Type">
          <select value={type} onChange={(event) => setType(event.currentTarget.value)}>
            <option value="">any</option>
            {TYPES.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </Field>
      </div>
      <Paged
        of={list}
        waiting="Loading the history"
        empty={
          type ? (
            `No ${type} yet.`
          ) : (
            <Empty title="No changes yet.">
              You get trial credits when you have verified your e-mail address. The operator can grant more.
            </Empty>
          )
        }
      >
        {(items) => <TransactionsTable caption="Changes of the balance" of={items} />}
      </Paged>
    </section>
  );
}
