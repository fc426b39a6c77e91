import { readFile } from 'node:fs/promises'

/** Resident memory of a process in MB; undefined where there is no /proc. */
export async function residentMemory(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) / 1024
}

/** The memory of a process that no other shares (what the programs mapped from disk cost is left out), in MB. */
export async function privateMemory(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kilobytes = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) / 1024
}

/** Milliseconds of CPU that a process has used, all threads; undefined where there is no /proc. */
export async function cpuTime(pid: number): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // Ticks of 10 ms (USER_HZ is 100 on every Linux that Bun runs on).
  return fields.length < 13 ? undefined : (Number(fields[11]) + Number(fields[12])) * 10
}

/** The memory of a process, in words. */
export async function memory(pid: number): Promise<string> {
  const [resident, own] = [await residentMemory(pid), await privateMemory(pid)]
  return resident === undefined
    ? 'unknown here'
    : `${resident.toFixed(0)} MB (${own?.toFixed(0)} MB of its own)`
}
