import { createApp } from "vue";
import Gold from "./Gold.vue";

createApp(Gold).mount("#root");
