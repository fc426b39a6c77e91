// node:fs and not a web API: the platform has none for files, and Bun's own stay in src/commands.
import { readdir, readFile, stat } from 'node:fs/promises'
import type { Files } from './reading.ts'

/** Files from the disk; relative paths are relative to the working directory, as in MAS. */
export const diskFiles: Files = {
  readFile: (path) => readFile(path),
  readDir: async (path) => {
    const names = await readdir(path)
    const found = await Promise.all(
      // Followed through links: mounted secrets of Kubernetes are links to files.
      names.map(async (name) => ((await stat(`${path}/${name}`)).isFile() ? [name] : [])),
    )
    return found.flat()
  },
}
