/** Hooks for reading, for pages of lists, and for clicks. */

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { asApiError } from "./errors.js";

/** @typedef {import("./errors.js").ApiError} ApiError */

/**
 * @template T
 * @typedef {{value: T | undefined, error: ApiError | null, isLoading: boolean, reload: () => Promise<void>}} Load
 */

/**
 * Read something when the component is shown, when `deps` change and, with `everySeconds`, again and again while the
 * tab is visible. While it is read again, the old value stays. A read by the clock does not show as a wait.
 * @template T
 * @param {() => Promise<T>} read
 * @param {unknown[]} deps
 * @param {{everySeconds?: number}} [options]
 * @returns {Load<T>}
 */
export function useLoad(read, deps, { everySeconds } = {}) {
  const [state, setState] = useState(
    /** @type {{value: T | undefined, error: ApiError | null, isLoading: boolean}} */ ({
      value: undefined,
      error: null,
      isLoading: true,
    }),
  );
  const newest = useRef(0);
  const settled = useRef(0);
  const start = useCallback(async (/** @type {boolean} */ isQuiet) => {
    const turn = ++newest.current;
    if (!isQuiet) setState((before) => ({ ...before, isLoading: true }));
    try {
      const value = await read();
      if (turn === newest.current) setState({ value, error: null, isLoading: false });
    } catch (error) {
      if (turn === newest.current) setState((before) => ({ ...before, error: asApiError(error), isLoading: false }));
    } finally {
      settled.current = Math.max(settled.current, turn);
    }
  }, deps);
  const reload = useCallback(() => start(false), [start]);
  useEffect(() => {
    setState({ value: undefined, error: null, isLoading: true });
    void reload();
    return () => {
      settled.current = ++newest.current; // an answer that comes later is ignored
    };
  }, [reload]);
  useEffect(() => {
    if (!everySeconds) return undefined;
    const timer = setInterval(() => {
      const isReading = settled.current < newest.current;
      if (!document.hidden && !isReading) void start(true);
    }, everySeconds * 1000);
    return () => clearInterval(timer);
  }, [start, everySeconds]);
  return { ...state, reload };
}

/**
 * @template T
 * @typedef {{items: T[], first: any, error: ApiError | null, isLoading: boolean, hasMore: boolean,
 *   more: () => Promise<void>, reload: () => Promise<void>}} Pages
 */

/**
 * Read the first page of a list, and more pages on request. `first` is the answer with the first page.
 * @template T
 * @param {(pageToken: string | undefined) => Promise<any>} read
 * @param {(page: any) => T[]} itemsOf
 * @param {unknown[]} deps
 * @returns {Pages<T>}
 */
export function usePages(read, itemsOf, deps) {
  const [later, setLater] = useState(/** @type {any[]} */ ([]));
  const newest = useRef(0);
  const first = useLoad(async () => {
    const page = await read(undefined);
    newest.current++; // an answer to an earlier "more" belongs to another list
    setLater([]);
    return page;
  }, deps);
  const last = later.at(-1) ?? first.value;
  const next = useAction(async () => {
    const turn = newest.current;
    const page = await read(last?.nextPageToken);
    if (turn === newest.current) setLater((before) => [...before, page]);
  });
  return {
    items: first.value ? [first.value, ...later].flatMap(itemsOf) : [],
    first: first.value,
    error: first.error ?? next.error,
    isLoading: first.isLoading || next.isBusy,
    hasMore: Boolean(last?.nextPageToken),
    more: () => next.run(),
    reload: first.reload,
  };
}

/**
 * @template {any[]} A
 * @typedef {{run: (...args: A) => Promise<void>, isBusy: boolean, error: ApiError | null, result: any,
 *   reset: () => void}} Action
 */

/**
 * Do something on a click, once at a time.
 * @template {any[]} A
 * @param {(...args: A) => Promise<any>} act
 * @returns {Action<A>}
 */
export function useAction(act) {
  const [state, setState] = useState(
    /** @type {{isBusy: boolean, error: ApiError | null, result: any}} */ ({
      isBusy: false,
      error: null,
      result: undefined,
    }),
  );
  const busy = useRef(false);
  return {
    ...state,
    reset: () => setState({ isBusy: busy.current, error: null, result: undefined }),
    async run(...args) {
      if (busy.current) return;
      busy.current = true;
      setState({ isBusy: true, error: null, result: undefined });
      try {
        const result = await act(...args);
        busy.current = false;
        setState({ isBusy: false, error: null, result });
      } catch (error) {
        busy.current = false;
        setState({ isBusy: false, error: asApiError(error), result: undefined });
      }
    },
  };
}

/** The reasons after which nobody knows whether the call had its effect. */
const UNCLEAR = new Set([
  "TIMEOUT",
  "OFFLINE",
  "UNEXPECTED",
  "INTERNAL",
  "SERVICE_UNAVAILABLE",
  "SETTLEMENT_PENDING",
  "CONTENTION",
  "REQUEST_IN_PROGRESS",
]);

/**
 * Call `act` with an idempotency key. After an unclear answer, the same payload is sent with the same key, so that it
 * is not charged twice.
 * @template P
 * @template T
 * @param {(payload: P, idempotencyKey: string) => Promise<T>} act
 * @returns {(payload: P) => Promise<T>}
 */
export function useIdempotent(act) {
  const unclear = useRef(/** @type {{payload: string, key: string} | null} */ (null));
  return async (payload) => {
    const text = JSON.stringify(payload);
    const key = unclear.current?.payload === text ? unclear.current.key : crypto.randomUUID();
    unclear.current = { payload: text, key };
    try {
      const result = await act(payload, key);
      unclear.current = null;
      return result;
    } catch (error) {
      if (!UNCLEAR.has(asApiError(error).reason)) unclear.current = null;
      throw error;
    }
  };
}
