/** Shows the purchase of a buyer who returns from the checkout. */

import { href } from "./router.js";

/** The checkout adds to the URL's query. The views look behind the hash. */
export function landFromCheckout() {
  const query = new URLSearchParams(location.search);
  const purchaseId = query.get("purchaseId");
  if (!purchaseId) return;
  const checkout = query.get("checkout") ?? undefined;
  history.replaceState(null, "", location.pathname + href("/purchases", { purchaseId, checkout }));
}
