/** Writes the call that a click makes as code, for app developers. */

import { REGION, config, functionUrl } from "./config.js";

/**
 * @param {Record<string, any>} data
 * @returns {{id: string, title: string, text: string, note: string}[]}
 */
export function createCalls(data) {
  return [
    {
      id: "curl",
      title: "curl",
      text: curl(functionUrl("createGenerationRequest"), ["Authorization: Bearer $ID_TOKEN"], { data }),
      note: "For any language. The ID token of a user lasts an hour.",
    },
    {
      id: "javascript",
      title: "JavaScript",
      text: javascript(data),
      note: "For web apps, with the Firebase SDK. It sends the token of the user who is signed in.",
    },
    {
      id: "rest",
      title: "REST",
      text: rest(data),
      note: "For servers. Create an API key with the scope generate first.",
    },
  ];
}

/**
 * @param {string} url
 * @param {string[]} headers
 * @param {unknown} body
 */
function curl(url, headers, body) {
  const lines = [...headers, "Content-Type: application/json"].map((header) => `  -H "${header}" \\`);
  return [`curl -X POST ${url} \\`, ...lines, `  -d ${quoted(JSON.stringify(body))}`].join("\n");
}

/** @param {Record<string, any>} data */
function javascript(data) {
  const emulated = config.emulators;
  return [
    'import { getApp } from "firebase/app";',
    `import { ${emulated ? "connectFunctionsEmulator, " : ""}getFunctions, httpsCallable } from "firebase/functions";`,
    'import { doc, getFirestore, onSnapshot } from "firebase/firestore";',
    "",
    `const functions = getFunctions(getApp(), "${REGION}");`,
    ...(emulated
      ? [`connectFunctionsEmulator(functions, "${emulated.functions.host}", ${emulated.functions.port});`]
      : []),
    'const create = httpsCallable(functions, "createGenerationRequest");',
    `const { data } = await create(${JSON.stringify(data, null, 2)});`,
    "",
    'onSnapshot(doc(getFirestore(), "generationRequests", data.generationRequestId), (request) => {',
    '  console.log(request.get("status"), request.get("imageUrl"));',
    "});",
  ].join("\n");
}

/** @param {Record<string, any>} data */
function rest({ idempotencyKey, mode: _, maxCredits, ...data }) {
  const headers = ["Authorization: Bearer $API_KEY", "Prefer: wait=30"];
  if (idempotencyKey) headers.push(`Idempotency-Key: ${idempotencyKey}`);
  return curl(`${location.origin}/v1/generations`, headers, { ...data, max_credits: maxCredits });
}

/**
 * Quote a text for a shell.
 * @param {string} text
 */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
