// Loaded into the Firebase CLI before it starts. The Auth emulator compiles the validators of all its methods when it
// starts: eight seconds of processor time. With this option of its library, it compiles a validator on first use.
"use strict";
const { createRequire } = require("node:module");

const exegesis = createRequire(require.resolve("firebase-tools"))("exegesis-express");
const { middleware } = exegesis;
exegesis.middleware = (document, options) => middleware(document, { ...options, lazyCompileValidationSchemas: true });
