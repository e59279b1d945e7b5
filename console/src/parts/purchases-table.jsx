/** Purchases, of one user or of several. */

import { money } from "../format.js";
import { Amount } from "./amount.jsx";
import { Status } from "./status.jsx";
import { Table } from "./table.jsx";
import { Time } from "./time.jsx";
import { UserLink } from "./user-link.jsx";

/**
 * `canPay` is for the buyer, and `hasUsers` for a list of several users' purchases.
 * @param {{of: any[], canPay?: boolean, hasUsers?: boolean}} props
 */
export function PurchasesTable({ of, canPay = false, hasUsers = false }) {
  return (
    <Table
      caption="Purchases, newest first"
      columns={[
        "When",
        hasUsers ? "User and package" : "Package",
        "Status",
        { title: "Price", isNumeric: true },
        { title: "Granted", isNumeric: true },
        { title: "Taken back", isNumeric: true },
        { title: "Owed", isNumeric: true },
      ]}
    >
      {of.map((purchase) => (
        <tr key={purchase.purchaseId}>
          <td>
            <Time at={purchase.createdAt} style={hasUsers ? "date" : "full"} />
          </td>
          <td>
            {hasUsers && (
              <div>
                <UserLink id={purchase.userId} />
              </div>
            )}
            {purchase.package}
          </td>
          <td>
            <Status of={purchase.status} />{" "}
            {canPay && purchase.status === "open" && purchase.checkoutUrl && (
              <a href={purchase.checkoutUrl}>Continue to pay</a>
            )}
          </td>
          <td class="numeric">
            {money(purchase.amount, purchase.currency)}
            <Moved amount={purchase.amountRefunded} currency={purchase.currency} text="refunded" />
            <Moved amount={purchase.amountDisputed} currency={purchase.currency} text="disputed" />
          </td>
          <td class="numeric">
            <Amount credits={purchase.creditsGranted} />
          </td>
          <td class="numeric">
            <Amount credits={purchase.creditsReversed} />
          </td>
          <td class={purchase.uncollected ? "numeric bad" : "numeric"}>
            <Amount credits={purchase.uncollected} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** @param {{amount: number, currency: string, text: string}} props */
function Moved({ amount, currency, text }) {
  if (!amount) return null;
  return (
    <div class="muted">
      {money(amount, currency)} {text}
    </div>
  );
}
