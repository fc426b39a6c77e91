/** Loaded before a server whose heap is watched: at SIGUSR2 it says on standard error how many bytes are alive. */
process.on('SIGUSR2', () => {
  Bun.gc(true)
  process.stderr.write(`heap ${process.memoryUsage().heapUsed}\n`)
})
