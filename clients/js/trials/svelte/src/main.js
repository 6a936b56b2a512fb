import { mount } from "svelte";
import Gold from "./Gold.svelte";

mount(Gold, { target: document.getElementById("root") });
