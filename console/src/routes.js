/** All views, in the order of the navigation. */

import { apiKeys } from "./views/api-keys.jsx";
import { creditHistory } from "./views/credits.jsx";
import { playground } from "./views/playground.jsx";
import { requestDetails } from "./views/request.jsx";
import { requests } from "./views/requests.jsx";
import { signInView } from "./views/sign-in.jsx";
import { webhooks } from "./views/webhooks.jsx";

/** @type {import("./router.js").View[]} */
export const VIEWS = [playground, requests, requestDetails, creditHistory, webhooks, apiKeys, signInView];
