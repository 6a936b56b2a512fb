"use client";

import "swarna-client/element";
import { useWebSocketPrices } from "swarna-client/react";

export function Gold() {
  const { prices, connected, error } = useWebSocketPrices("ws://127.0.0.1:3001/", { metals: ["gold"] });
  return (
    <>
      <output>{connected ? prices.gold?.price : error?.message}</output>
      <swarna-price metal="gold" purity="916" unit="10gram" server="http://127.0.0.1:3001/" />
    </>
  );
}
