/** Finds users. */

import { useState } from "preact/hooks";
import { call } from "../../api.js";
import { number } from "../../format.js";
import { usePages } from "../../load.js";
import { Field } from "../../parts/field.jsx";
import { Paged } from "../../parts/loaded.jsx";
import { Page } from "../../parts/page.jsx";
import { Table } from "../../parts/table.jsx";
import { Time } from "../../parts/time.jsx";
import { navigate } from "../../router.js";
import { UserLink } from "../../parts/user-link.jsx";

/** @type {import("../../router.js").View} */
export const users = {
  path: "/operator/users",
  title: "Users",
  nav: "operator",
  access: "admin",
  component: Users,
};

/** @param {import("../../router.js").ViewProps} props */
function Users({ query }) {
  const asked = query.get("query") ?? "";
  const pages = usePages(
    (pageToken) => call("findUsers", { query: asked, pageSize: 20, pageToken }),
    (page) => page.users,
    [asked],
  );
  return (
    <Page title="Users" lead="Open a user to see the balance and the history, and to grant credits.">
      <Search key={asked} asked={asked} />
      <Paged
        of={pages}
        empty={asked ? `Nobody's id, e-mail address or name begins with “${asked}”. Try a shorter beginning.` : "There are no users yet."}
      >
        {(items) => (
          <Table
            caption={asked ? `Users that match ${asked}` : "All users, newest first"}
            columns={[
              "User",
              "E-mail",
              { title: "Credits", isNumeric: true },
              { title: "Trial", isNumeric: true },
              { title: "Paid", isNumeric: true },
              "Since",
            ]}
          >
            {items.map((user) => (
              <Row key={user.userId} of={user} />
            ))}
          </Table>
        )}
      </Paged>
    </Page>
  );
}

/** @param {{asked: string}} props */
function Search({ asked }) {
  const [text, setText] = useState(asked);
  /** @param {Event} event */
  function search(event) {
    event.preventDefault();
    navigate("/operator/users", { query: text.trim() });
  }
  return (
    <form class="row bottom" role="search" onSubmit={search}>
      <Field label="Id, or beginning of an address or name">
        <input type="search" maxLength={200} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </Field>
      <button class="button primary">Find</button>
    </form>
  );
}

/** @param {{of: any}} props */
function Row({ of }) {
  return (
    <tr>
      <th scope="row">
        <UserLink id={of.userId}>{of.displayName || of.userId}</UserLink>
        <div class="muted">
          <code>{of.userId}</code>
        </div>
      </th>
      <td>{of.email}</td>
      {of.unreadableField ? (
        <td colSpan={3} class="bad prose">
          The field <code>{of.unreadableField}</code> cannot be read.
        </td>
      ) : (
        <>
          <td class="numeric">{number(of.currentCredits)}</td>
          <td class="numeric">{number(of.trialCredits)}</td>
          <td class="numeric">{number(of.paidCredits)}</td>
        </>
      )}
      <td>{of.createdAt && <Time at={of.createdAt} style="date" />}</td>
    </tr>
  );
}
