/** Shows the view that the URL's hash names, such as `#/requests/abc?status=failed`. */

import { signal } from "@preact/signals";

/**
 * @typedef {{params: Record<string, string>, query: URLSearchParams}} ViewProps
 * @typedef {{
 *   path: string,
 *   title: string,
 *   nav?: "user" | "operator",
 *   access?: "admin" | "user" | "anyone",
 *   component: (props: ViewProps) => import("preact").ComponentChild,
 * }} View
 * @typedef {{path: string, view: View | null, params: Record<string, string>, query: URLSearchParams}} Route
 */

/** @type {import("@preact/signals").Signal<Route>} */
export const route = signal({ path: "/", view: null, params: {}, query: new URLSearchParams() });

/**
 * Follow the hash from now on.
 * @param {View[]} views
 */
export function watchRoute(views) {
  const follow = () => void (route.value = parsed(views, location.hash.slice(1) || "/"));
  addEventListener("hashchange", follow);
  follow();
}

/**
 * Return the link to a view.
 * @param {string} path
 * @param {Record<string, string | undefined>} [query] without its empty values
 */
export function href(path, query = {}) {
  const filled = Object.entries(query).filter((entry) => entry[1]);
  const text = new URLSearchParams(/** @type {[string, string][]} */ (filled)).toString();
  return `#${path}${text && `?${text}`}`;
}

/**
 * @param {string} path
 * @param {Record<string, string | undefined>} [query]
 */
export function navigate(path, query) {
  location.hash = href(path, query);
}

/**
 * @param {View[]} views
 * @param {string} hash
 * @returns {Route}
 */
function parsed(views, hash) {
  const [path, search = ""] = hash.split("?", 2);
  const query = new URLSearchParams(search);
  for (const view of views) {
    const params = matched(view.path.split("/"), path.split("/"));
    if (params) return { path, view, params, query };
  }
  return { path, view: null, params: {}, query };
}

/**
 * @param {string[]} pattern
 * @param {string[]} parts
 */
function matched(pattern, parts) {
  if (pattern.length !== parts.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [index, name] of pattern.entries()) {
    if (name.startsWith(":")) {
      try {
        params[name.slice(1)] = decodeURIComponent(parts[index]);
      } catch {
        return null; // not a valid part of a URL
      }
    } else if (name !== parts[index]) return null;
  }
  return params;
}
