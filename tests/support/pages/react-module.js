// React 18 as a page gets it without a bundler, under the name that modules import it by.
export const { useEffect, useState } = globalThis.React;
