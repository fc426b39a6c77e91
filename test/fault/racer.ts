/**
 * One of two processes that race. Arguments: the address of the database, 0 or 1. Takes over IPC which thing, and from
 * which number to which, and answers with the numbers that it won; or which jobs to run, and answers with those it ran.
 */
import { createSql } from '../../sql/connect.ts'
import { createJobs, type JobHandlers } from '../../src/jobs/jobs.ts'
import { THINGS } from './race-things.ts'

const [, , uri = '', number = '0'] = process.argv
const racer = Number(number)
/** Claims under way at once. */
const AT_ONCE = 8
const sql = createSql({ uri }, { max: AT_ONCE, applicationName: `racer ${racer}` })
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** What a racer is told to do. */
export type Order = { thing: number; from: number; to: number } | { jobs: true }

async function claimAll(order: Extract<Order, { thing: number }>): Promise<number[]> {
  const thing = THINGS[order.thing]
  const won: number[] = []
  let next = order.from
  const claim = async () => {
    for (let index = next++; index < order.to; index = next++)
      if ((await thing?.claim(sql, index, racer))?.length) won.push(index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, claim))
  return won
}

async function runJobs(): Promise<string[]> {
  const ran: string[] = []
  const nothing = async () => {}
  const handlers: JobHandlers = {
    'sync-devices': nothing,
    'provision-user': async ({ user_id }) => void ran.push(user_id),
    'deactivate-user': nothing,
    'check-drift': nothing,
    'provision-everyone': nothing,
    'backchannel-logout': nothing,
    'recovery-mail': nothing,
    'send-mail': nothing,
    'deactivate-due': nothing,
    'end-inactive-sessions': nothing,
    'clean-up': nothing,
  }
  const jobs = createJobs({ uri }, silent)
  await jobs.runDue(handlers)
  await jobs.stop()
  return ran
}

process.on('message', async (order: Order) => {
  process.send?.('jobs' in order ? await runJobs() : await claimAll(order))
})
process.send?.('ready')
