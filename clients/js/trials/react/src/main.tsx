import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import type { Quote } from "swarna-client";
import { useWebSocketPrices } from "swarna-client/react";
import { convert } from "swarna-client/units";
import "swarna-client/element";

function per10Grams(quote: Quote): string {
  return convert(quote.price, { unit: "10gram", purity: "916", metal: "gold" });
}

function Gold() {
  const { prices, connected, error } = useWebSocketPrices("ws://127.0.0.1:3001/", { metals: ["gold"] });
  return (
    <>
      <output>{connected && prices.gold ? `${prices.gold.price} (${per10Grams(prices.gold)})` : error?.message}</output>
      <swarna-price metal="gold" purity="916" unit="10gram" server="http://127.0.0.1:3001/" />
    </>
  );
}

const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><Gold /></StrictMode>);
