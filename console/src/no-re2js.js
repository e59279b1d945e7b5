/** Takes the place of re2js in the bundle (see build.mjs). */

export const RE2JS = undefined;
