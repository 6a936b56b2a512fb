import type { DetailedHTMLProps, HTMLAttributes } from "react";

export * from "./types/react.js";

type SwarnaAttributes<Name extends string> = DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement> & {
  [name in Name]?: string | undefined;
};

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "swarna-price": SwarnaAttributes<"metal" | "purity" | "unit" | "server"> & { compact?: boolean | undefined };
      "swarna-sheet": SwarnaAttributes<"rows" | "server">;
    }
  }
}
