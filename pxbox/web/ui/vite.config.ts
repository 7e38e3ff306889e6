import { fileURLToPath } from 'node:url'

import { defineConfig } from 'vite'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  base: '/',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: {
    alias: [
      { find: 'react/jsx-runtime', replacement: 'preact/jsx-runtime' },
      { find: 'react-dom', replacement: 'preact/compat' },
      { find: /^react$/, replacement: 'preact/compat' },
      // 38 KB of a Markdown that the page reads with 2 KB of its own.
      { find: /^markdown-to-jsx.*/, replacement: here('./src/form/markdown.tsx') },
    ],
  },
  build: {
    outDir: here('../dist'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    // A data: URL would need another word in the content security policy.
    assetsInlineLimit: 0,
  },
})
