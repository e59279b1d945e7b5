/** The options on offer, as they are now. */

import { call } from "./api.js";
import { useLoad } from "./load.js";

/**
 * @typedef {{id: string, name: string}} Option
 * @typedef {{models: (Option & {takesSeed: boolean})[], styles: Option[], colors: Option[],
 *   sizes: (Option & {width: number, height: number, creditCost: number})[]}} Catalog
 */

/**
 * A function caches the catalog for five seconds. So a change shows here after nine seconds, and the call's duration.
 */
const EVERY_SECONDS = 4;

/** @returns {import("./load.js").Load<Catalog>} */
export function useCatalog() {
  return useLoad(() => call("getCatalog"), [], { everySeconds: EVERY_SECONDS });
}
