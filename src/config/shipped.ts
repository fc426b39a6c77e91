/** Whether a path is one of those that MAS ships its own files at: such a line says nothing about the operator. */
export function isShipped(path: string): boolean {
  const plain = path.replace(/^\.\//, '').replace(/\/$/, '')
  return SHIPPED.has(plain)
}

const SHIPPED: ReadonlySet<string> = new Set(
  [
    ['templates', 'frontend/dist', 'frontend/dist/manifest.json', 'translations', 'policies/policy.wasm'],
    ['assets', 'manifest.json', 'policy.wasm', 'templates', 'translations'].flatMap((name) => [
      `/usr/local/share/mas-cli/${name}`,
      `share/${name}`,
    ]),
  ].flat(),
)

/** The module of Open Policy Agent that decides in place of the built-in rules, if there is one. */
export const ownModule = ({ wasm_module: path }: { wasm_module?: string | undefined }): string | undefined =>
  path === undefined || isShipped(path) ? undefined : path
