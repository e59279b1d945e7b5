/** All views, in the order of the navigation. */

import { audit } from "./views/operator/audit.jsx";
import { catalog } from "./views/operator/catalog.jsx";
import { operations } from "./views/operator/operations.jsx";
import { report } from "./views/operator/report.jsx";
import { reports } from "./views/operator/reports.jsx";
import { user } from "./views/operator/user.jsx";
import { users } from "./views/operator/users.jsx";
import { signInView } from "./views/sign-in.jsx";

/** @type {import("./router.js").View[]} */
export const VIEWS = [
  signInView,
  // for operators
  users,
  user,
  reports,
  report,
  operations,
  audit,
  catalog,
];
