import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

const template = { compilerOptions: { isCustomElement: (tag) => tag.startsWith("swarna-") } };

export default defineConfig({ plugins: [vue({ template })] });
