/** Shows a user's balance and history, and grants credits. */

import { call } from "../../api.js";
import { number } from "../../format.js";
import { useLoad, usePages } from "../../load.js";
import { Figures } from "../../parts/figures.jsx";
import { Loaded, Paged } from "../../parts/loaded.jsx";
import { Page } from "../../parts/page.jsx";
import { PurchasesTable } from "../../parts/purchases-table.jsx";
import { Time } from "../../parts/time.jsx";
import { TransactionsTable } from "../../parts/transactions-table.jsx";
import { GrantForm } from "./grant-form.jsx";

/** @type {import("../../router.js").View} */
export const user = {
  path: "/operator/users/:userId",
  title: "User",
  access: "admin",
  component: User,
};

/** @param {import("../../router.js").ViewProps} props */
function User({ params }) {
  const { userId } = params;
  const found = useLoad(() => call("findUsers", { query: userId, pageSize: 1 }), [userId]);
  const profile = found.value?.users.find((/** @type {any} */ user) => user.userId === userId);
  const balance = useLoad(() => call("getCreditBalance", { userId }), [userId]);
  const history = usePages(
    (pageToken) => call("listCreditTransactions", { userId, pageSize: 20, pageToken }),
    (page) => page.transactions,
    [userId],
  );
  const purchases = usePages(
    (pageToken) => call("listPurchases", { userId, pageSize: 20, pageToken }),
    (page) => page.purchases,
    [userId],
  );
  return (
    <Page title={profile?.displayName || userId} lead={profile?.email ?? "The user's credits, and their changes."}>
      <p class="muted">
        <code>{userId}</code>
        {profile?.createdAt && (
          <>
            {" "}
            since <Time at={profile.createdAt} style="date" />
          </>
        )}
      </p>
      <Loaded of={balance}>{(value) => <Balance of={value} />}</Loaded>
      <h2>Grant credits</h2>
      <GrantForm
        key={userId}
        userId={userId}
        onGranted={() => {
          void balance.reload();
          void history.reload();
        }}
      />
      <h2>Purchases</h2>
      <Paged of={purchases} empty="This user has bought nothing yet.">
        {(items) => <PurchasesTable of={items} />}
      </Paged>
      <h2>History</h2>
      <Paged of={history} empty="This user has no transactions yet. Grant the first credits.">
        {(items) => <TransactionsTable caption="History, newest first" of={items} />}
      </Paged>
    </Page>
  );
}

/** @param {{of: any}} props */
function Balance({ of }) {
  const { lifetime } = of;
  return (
    <Figures
      label="Credits"
      of={[
        { name: "Available", value: number(of.totalAvailable), notes: ["credits"] },
        { name: "Paid", value: number(of.tokenBalance) },
        { name: "Trial", value: number(of.trialCredits) },
        { name: "Granted in all", value: number(lifetime.granted) },
        { name: "Spent in all", value: number(lifetime.spent), notes: [`${number(lifetime.refunded)} refunded`] },
      ]}
    />
  );
}
