/**
 * The process that runs the operator's module (README). The module itself runs in a worker of it, so that this thread
 * can end the process when the server is gone, even while the module goes round in circles.
 */

const worker = new Worker(new URL('./evaluate.ts', import.meta.url).href)
const tell = (answer: unknown) => process.send?.(answer)
worker.onmessage = ({ data }) => tell(data)
worker.onerror = ({ message }) => tell({ loaded: false, error: message })
process.on('message', (question) => worker.postMessage(question))
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
worker.postMessage({ path: process.argv[2] })
