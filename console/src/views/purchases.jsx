/** Sells credits: the packages, the checkout, the return from it, and the user's purchases. */

import { useEffect } from "preact/hooks";
import { call } from "../api.js";
import { useCatalog } from "../catalog.js";
import { credits, money } from "../format.js";
import { useDocument } from "../live.js";
import { useAction, useIdempotent, useLoad, usePages } from "../load.js";
import { ActionButton } from "../parts/action-button.jsx";
import { Empty } from "../parts/empty.jsx";
import { ErrorNote } from "../parts/error-note.jsx";
import { Loaded, Paged } from "../parts/loaded.jsx";
import { Page } from "../parts/page.jsx";
import { PurchasesTable } from "../parts/purchases-table.jsx";
import { Status } from "../parts/status.jsx";
import { Time } from "../parts/time.jsx";
import { navigate } from "../router.js";
import { session } from "../session.js";

/** @type {import("../router.js").View} */
export const purchases = { path: "/purchases", title: "Buy credits", nav: "user", component: Purchases };

/** @param {import("../router.js").ViewProps} props */
function Purchases({ query }) {
  const purchaseId = query.get("purchaseId");
  const account = useDocument(`users/${session.value?.uid}`);
  const entries = account.value?.ledger?.seq ?? 0;
  const returned = useLoad(async () => purchaseId && call("reconcilePurchase", { purchaseId }), [purchaseId]);
  const packages = useCatalog();
  return (
    <Page title="Buy credits" lead="You pay on a page of Stripe. The credits arrive when the payment does.">
      {purchaseId && (
        <Loaded of={returned} waiting="Asking for your payment">
          {(purchase) => (
            <Returned purchase={purchase} checkout={query.get("checkout")} entries={entries} again={returned.reload} />
          )}
        </Loaded>
      )}
      <Loaded of={packages} waiting="Loading the packages">
        {(catalog) => <Packages of={catalog.packages ?? []} />}
      </Loaded>
      {account.value && <History entries={entries} returned={returned.value?.status} />}
    </Page>
  );
}

/**
 * A purchase that waits for its payment is read again after each entry of the ledger, which may be its credits.
 * @param {{purchase: any, checkout: string | null, entries: number, again: () => Promise<void>}} props
 */
function Returned({ purchase, checkout, entries, again }) {
  const check = useAction(again);
  const isWaiting = purchase.status === "open" || purchase.status === "processing";
  useEffect(() => {
    if (isWaiting) void again();
  }, [entries]);
  return (
    <section class="card stack" aria-label="Your purchase">
      <p class="row" role="status">
        <Status of={purchase.status} />
        <span>{told(purchase, checkout)}</span>
      </p>
      {isWaiting && (
        <div class="row">
          {purchase.status === "open" && purchase.checkoutUrl && (
            <a class="button" href={purchase.checkoutUrl}>
              Continue to pay
            </a>
          )}
          <ActionButton action={check} onClick={() => check.run()}>
            Check again
          </ActionButton>
        </div>
      )}
    </section>
  );
}

/**
 * @param {any} purchase
 * @param {string | null} checkout what the query says, which anyone can type
 */
function told({ status, creditsGranted, expiresAt }, checkout) {
  if (status === "paid") return `Thank you. You have bought ${credits(creditsGranted)}.`;
  if (status === "processing") return "The payment is on its way. The credits arrive when it does.";
  if (status === "failed") return "The payment did not arrive. You got no credits.";
  if (status === "expired") return "Nobody paid in time. You can buy again.";
  if (status !== "open") return "Your purchase was refunded or disputed. See it below.";
  const end = checkout === "canceled" ? "You have left the checkout." : "No payment is known yet.";
  return (
    <>
      {end} You can pay until <Time at={expiresAt} />.
    </>
  );
}

/** @param {{of: any[]}} props */
function Packages({ of }) {
  const create = useIdempotent((payload, idempotencyKey) => call("createPurchase", { ...payload, idempotencyKey }));
  if (!of.length) return <p>No credits are on sale here at the moment.</p>;
  return (
    <ul class="packages" aria-label="Packages">
      {of.map((each) => (
        <Package key={each.id} of={each} create={create} />
      ))}
    </ul>
  );
}

/** @param {{of: any, create: (payload: any) => Promise<any>}} props */
function Package({ of, create }) {
  const price = money(of.amount, of.currency);
  const buy = useAction(async () => {
    const { purchaseId, checkoutUrl } = await create({ package: of.id, returnUrl: `${location.origin}/` });
    if (!checkoutUrl) return navigate("/purchases", { purchaseId }); // an earlier click was paid or has expired
    location.assign(checkoutUrl);
    return "The checkout opens.";
  });
  return (
    <li class="card stack">
      <h2>{of.name}</h2>
      <p>
        <strong>{credits(of.credits)}</strong>
      </p>
      <ActionButton action={buy} kind="primary" onClick={() => buy.run()}>
        Buy for {price}
      </ActionButton>
      <p role="status">{buy.result}</p>
      <ErrorNote error={buy.error} />
    </li>
  );
}

/**
 * The list is read again after an entry of the ledger, and when the buyer's return has changed the purchase.
 * @param {{entries: number, returned: string | undefined}} props
 */
function History({ entries, returned }) {
  const list = usePages(
    (pageToken) => call("listPurchases", { pageToken, pageSize: 20 }),
    (page) => page.purchases,
    [entries, returned],
  );
  return (
    <section class="stack" aria-labelledby="purchases">
      <h2 id="purchases">Your purchases</h2>
      <Paged of={list} waiting="Loading your purchases" empty={<Empty title="No purchases yet." />}>
        {(items) => <PurchasesTable of={items} canPay />}
      </Paged>
    </section>
  );
}
