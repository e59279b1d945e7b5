/** A picture that a model made. */

import { useEffect, useState } from "preact/hooks";
import { config } from "../config.js";

/** @param {{url: string, prompt: string, width?: number, height?: number, isSmall?: boolean}} props */
export function Picture({ url, prompt, width, height, isSmall = false }) {
  const [isBroken, setBroken] = useState(false);
  useEffect(() => setBroken(false), [url]);
  if (isBroken && isSmall) return <span class="thumbnail missing" title="The picture cannot be shown here" />;
  if (isBroken) {
    return (
      <p class="picture missing">
        The picture cannot be shown here. <a href={url}>Open it</a>. If it is on another host, the operator can add the
        host to the page’s Content-Security-Policy.
      </p>
    );
  }
  return (
    <img
      class={isSmall ? "thumbnail" : "picture"}
      src={reachable(url)}
      alt={isSmall ? "" : `Picture of: ${prompt}`}
      width={width}
      height={height}
      loading={isSmall ? "lazy" : undefined}
      onError={() => setBroken(true)}
    />
  );
}

/**
 * Return the URL of a picture. The site of the emulators may have had another port when the picture was made.
 * @param {string} url
 */
function reachable(url) {
  if (!URL.canParse(url, location.origin)) return url;
  const { hostname, pathname } = new URL(url, location.origin);
  const isOfSite = config.emulators && hostname === "127.0.0.1" && pathname.startsWith("/models/");
  return isOfSite ? pathname : url;
}
