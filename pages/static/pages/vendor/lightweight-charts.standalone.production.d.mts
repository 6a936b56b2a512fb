/** The types of the file beside it, from the npm package of the same version, which only developers install. */
export * from "lightweight-charts";
