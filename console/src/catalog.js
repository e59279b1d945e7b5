/** The options on offer, as they are now. */

import { call } from "./api.js";
import { useLoad } from "./load.js";

/**
 * @typedef {{id: string, name: string}} Option
 * @typedef {{models: (Option & {takesSeed: boolean})[], styles: Option[], colors: Option[],
 *   sizes: (Option & {width: number, height: number, creditCost: number})[]}} Catalog
 */

/** A function caches the catalog for five seconds, so a change shows after at most eight seconds and a call. */
const EVERY_SECONDS = 3;

/**
 * Read the catalog, and follow its changes if `isLive`.
 * @param {{isLive?: boolean}} [options]
 * @returns {import("./load.js").Load<Catalog>}
 */
export function useCatalog({ isLive = false } = {}) {
  return useLoad(() => call("getCatalog"), [], { everySeconds: isLive ? EVERY_SECONDS : undefined });
}
