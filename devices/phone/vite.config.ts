import { cp, mkdir, readdir, rm } from "node:fs/promises";

import { defineConfig, type Plugin } from "vite";

/** Into the Python package, from where `edge-sdk phone build` takes it. */
const OUT = "../edge_sdk_devices/phone/app";

/** LiteRT's build for plain SIMD, from the npm package: nothing is loaded from anywhere else. */
function litert(): Plugin {
  return {
    name: "litert",
    async writeBundle() {
      await rm(`${OUT}/litert`, { recursive: true, force: true });
      await mkdir(`${OUT}/litert`, { recursive: true });
      const folder = "node_modules/@litertjs/core/wasm";
      const names = (await readdir(folder)).filter((name) => name.startsWith("litert_wasm_compat_internal."));
      if (names.length !== 2) throw new Error(`@litertjs/core must hold two files of the plain SIMD build, not ${names.length}.`);
      await Promise.all(names.map((name) => cp(`${folder}/${name}`, `${OUT}/litert/${name}`)));
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [litert()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: ["chrome105", "firefox113", "safari16.4"],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    rolldownOptions: {
      input: { app: "index.html", engine: "src/engine/index.ts", "service-worker": "src/service-worker.ts" },
      preserveEntrySignatures: "exports-only",
      output: {
        entryFileNames: (chunk) => (chunk.name === "app" ? "assets/[name]-[hash].js" : "[name].js"),
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
});
