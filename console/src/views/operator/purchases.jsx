/** Lists the purchases of all users by status, first those in dispute, with what each user owes. */

import { useState } from "preact/hooks";
import { call } from "../../api.js";
import { usePages } from "../../load.js";
import { Field } from "../../parts/field.jsx";
import { Paged } from "../../parts/loaded.jsx";
import { Page } from "../../parts/page.jsx";
import { PurchasesTable } from "../../parts/purchases-table.jsx";

const STATUSES = ["disputed", "partially_refunded", "refunded", "processing", "open", "paid", "failed", "expired"];

/** @type {import("../../router.js").View} */
export const purchasesOfAll = {
  path: "/operator/purchases",
  title: "Purchases",
  nav: "operator",
  access: "admin",
  component: PurchasesOfAll,
};

function PurchasesOfAll() {
  const [status, setStatus] = useState(STATUSES[0]);
  const list = usePages(
    (pageToken) => call("findPurchases", { status, pageToken, pageSize: 20 }),
    (page) => page.purchases,
    [status],
  );
  const shown = status.replaceAll("_", " ");
  return (
    <Page
      title="Purchases"
      lead="Purchases of all users. What is owed could not be taken back after a refund or dispute."
      actions={
        <Field label="Status">
          <select value={status} onChange={(event) => setStatus(event.currentTarget.value)}>
            {STATUSES.map((each) => (
              <option key={each} value={each}>
                {each.replaceAll("_", " ")}
              </option>
            ))}
          </select>
        </Field>
      }
    >
      <Paged of={list} waiting="Loading the purchases" empty={`No purchase is ${shown}.`}>
        {(items) => <PurchasesTable of={items} hasUsers />}
      </Paged>
    </Page>
  );
}
