/** Listens to Firestore documents. The security rules let users read their own. */

import { doc, onSnapshot } from "firebase/firestore";
import { useEffect, useState } from "preact/hooks";
import { asApiError } from "./errors.js";
import { firestore } from "./firebase.js";

/**
 * @typedef {{value: Record<string, any> | null | undefined, error: import("./errors.js").ApiError | null,
 *   isLoading: boolean}} Live
 */

/** @type {Live} */
const WAITING = { value: undefined, error: null, isLoading: true };

/**
 * Listen to a document while the component is shown. `value` is null if the document does not exist. Without a path,
 * nothing is read.
 * @param {string | null | undefined} path
 * @returns {Live}
 */
export function useDocument(path) {
  const [live, setLive] = useState(WAITING);
  useEffect(() => {
    setLive(WAITING);
    if (!path) return undefined;
    return onSnapshot(
      doc(firestore, path),
      (snapshot) => {
        // While offline, Firestore reports documents that it has not read as missing.
        if (!snapshot.exists() && snapshot.metadata.fromCache) return;
        setLive({ value: snapshot.data() ?? null, error: null, isLoading: false });
      },
      (error) => setLive({ value: undefined, error: asApiError(error), isLoading: false }),
    );
  }, [path]);
  return live;
}
