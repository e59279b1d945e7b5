/** All views, in the order of the navigation. */

import { signInView } from "./views/sign-in.jsx";

/** @type {import("./router.js").View[]} */
export const VIEWS = [signInView];
