/** All views, in the order of the navigation. */

import { apiKeys } from "./views/api-keys.jsx";
import { creditHistory } from "./views/credits.jsx";
import { audit } from "./views/operator/audit.jsx";
import { catalog } from "./views/operator/catalog.jsx";
import { operations } from "./views/operator/operations.jsx";
import { purchasesOfAll } from "./views/operator/purchases.jsx";
import { report } from "./views/operator/report.jsx";
import { reports } from "./views/operator/reports.jsx";
import { user } from "./views/operator/user.jsx";
import { users } from "./views/operator/users.jsx";
import { playground } from "./views/playground.jsx";
import { purchases } from "./views/purchases.jsx";
import { requestDetails } from "./views/request.jsx";
import { requests } from "./views/requests.jsx";
import { signInView } from "./views/sign-in.jsx";
import { webhooks } from "./views/webhooks.jsx";

/** @type {import("./router.js").View[]} */
export const VIEWS = [
  signInView,
  playground,
  requests,
  requestDetails,
  creditHistory,
  purchases,
  webhooks,
  apiKeys,
  // for operators
  operations,
  reports,
  report,
  audit,
  purchasesOfAll,
  users,
  user,
  catalog,
];
