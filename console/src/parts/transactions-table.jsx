/** The ledger entries of a user, newest first. */

import { signedCredits } from "../format.js";
import { Amount } from "./amount.jsx";
import { RequestLink } from "./request-link.jsx";
import { Table } from "./table.jsx";
import { Time } from "./time.jsx";

/** @param {{caption: string, of: any[]}} props */
export function TransactionsTable({ caption, of }) {
  return (
    <Table
      caption={caption}
      columns={[
        "When",
        "Type",
        { title: "Credits", isNumeric: true },
        { title: "Balance after", isNumeric: true },
        "Request",
      ]}
    >
      {of.map((entry) => (
        <tr key={entry.id}>
          <td>
            <Time at={entry.timestamp} />
          </td>
          <td>{entry.type}</td>
          <td class="numeric">
            <Amount credits={signedCredits(entry)} isSigned />
          </td>
          <td class="numeric">
            <Amount credits={entry.balanceAfter} />
          </td>
          <td>{entry.generationRequestId && <RequestLink id={entry.generationRequestId} />}</td>
        </tr>
      ))}
    </Table>
  );
}
