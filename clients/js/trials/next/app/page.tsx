import { Gold } from "./gold";

export default function Page() {
  return <Gold />;
}
