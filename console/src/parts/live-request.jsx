/** A request as it is now: status, picture, cancel, refund. It follows the document by a Firestore listener. */

import { call } from "../api.js";
import { credits } from "../format.js";
import { useDocument } from "../live.js";
import { useAction, useLoad } from "../load.js";
import { href } from "../router.js";
import { ActionButton } from "./action-button.jsx";
import { ErrorNote } from "./error-note.jsx";
import { Picture } from "./picture.jsx";
import { Status } from "./status.jsx";
import { Waiting } from "./waiting.jsx";

/** @param {{id: string}} props */
export function LiveRequest({ id }) {
  const { value: request, error, isLoading } = useDocument(`generationRequests/${id}`);
  if (isLoading) return <Waiting>Listening to the request</Waiting>;
  if (error) return <ErrorNote error={error} />;
  if (!request) return <p>This request does not exist.</p>;
  const isOpen = request.status === "pending" || request.status === "processing";
  return (
    <div class="stack">
      <p class="row" role="status">
        <Status of={request.status} />
        <Told request={request} />
      </p>
      {isOpen && <Waiting>{request.status === "pending" ? "Waiting in the queue" : `${request.model} draws`}</Waiting>}
      {request.status === "completed" && request.imageUrl && (
        <Picture url={request.imageUrl} prompt={request.prompt} />
      )}
      {request.image && <Variants id={id} />}
      <div class="row">
        {isOpen && <Cancel id={id} />}
        <a class="button" href={href(`/requests/${id}`)}>
          Show the time line
        </a>
      </div>
    </div>
  );
}

/** @param {{request: Record<string, any>}} props */
function Told({ request }) {
  if (request.error) {
    return (
      <span>
        {request.error.message} <strong>{credits(request.error.refundedCredits ?? 0)} refunded.</strong>{" "}
        <code>{request.error.reason}</code>
      </span>
    );
  }
  if (request.status === "completed") return <span>{credits(request.cost)} paid.</span>;
  return <span>{credits(request.cost)} reserved. They come back if no picture is made.</span>;
}

/** @param {{id: string}} props */
export function Cancel({ id }) {
  const cancel = useAction(() => call("cancelGenerationRequest", { generationRequestId: id }));
  return (
    <>
      <ActionButton action={cancel} kind="danger" onClick={() => void cancel.run()}>
        Cancel and refund
      </ActionButton>
      <ErrorNote error={cancel.error} />
    </>
  );
}

/** Links to the stored files of an image. @param {{id: string}} props */
function Variants({ id }) {
  const load = useLoad(() => call("getGenerationRequest", { generationRequestId: id }), [id]);
  if (load.error) return <ErrorNote error={load.error} retry={() => void load.reload()} />;
  return load.value?.image ? <StoredFiles request={load.value} /> : <Waiting>Looking for its sizes</Waiting>;
}

/** @param {{request: Record<string, any>}} props */
export function StoredFiles({ request }) {
  const files = [{ name: "full size", ...request.image }, ...(request.variants ?? [])];
  return (
    <ul class="files">
      {files.map(({ name, url, width, height, bytes }) => (
        <li key={name}>
          <a href={url} target="_blank" rel="noreferrer">
            {name}
          </a>{" "}
          <span class="muted">
            {width} × {height}, {Math.ceil(bytes / 1000)} kB
          </span>
        </li>
      ))}
    </ul>
  );
}
