import { loadKeystore } from '../../crypto/keystore.ts'
import { createProxyOf } from '../../http/outgoing.ts'
import { createUrls } from '../../http/urls.ts'
import { providerName } from '../../identity/providers.ts'
import { systemClock } from '../../lib/clock.ts'
import { systemRandom } from '../../lib/random.ts'
import { messageOf } from '../../lib/thrown.ts'
import { createLog } from '../../telemetry/log.ts'
import { callbackUri } from '../../upstream/exchange.ts'
import { ProviderError } from '../../upstream/provider-error.ts'
import { createUpstream } from '../../upstream/upstream.ts'
import { CommandError, type Context, note, say } from '../context.ts'
import { secretsOf } from '../doctor/doctor.ts'
import type { ConfigOnly } from '../flags.ts'
import { load } from '../load.ts'
import { withMadeProviders } from '../made-providers.ts'
import { ask } from '../manage/read-password.ts'
import { printTrial, withoutTexts } from './print.ts'
import { beginTrial, requireProvider, type TrialResult } from './trial.ts'

/** `latchkey upstream try`: one sign-in at a provider, by the browser of whoever sits at the terminal. */
export default async function tryProvider(
  this: Context,
  flags: ConfigOnly & { json?: boolean },
  id?: string,
): Promise<void> {
  const { config, why } = await withMadeProviders(await load(this, flags.config), this.signal)
  if (why !== undefined) note(this, `Providers of the admin API are not known: ${why}`)
  const log = createLog({ json: !this.isTerminal, level: 'error' })
  const clock = systemClock
  const proxyOf = createProxyOf(config.outgoing)
  const upstream = createUpstream({ config, clock, log, proxyOf, publicFetch: { proxyOf } })
  const provider = requireProvider(config, upstream.provider, id)
  const { keystore: keys } = await loadKeystore(config.secrets.keys)
  const urls = createUrls(config.http)
  const needs = { config, urls, clock, random: systemRandom, upstream, log, keys }
  const result = await saidPlainly(async (): Promise<TrialResult> => {
    const trial = await beginTrial(needs, provider)
    note(
      this,
      [
        `Open this address in a browser, and sign in at ${providerName(provider)}:`,
        '',
        trial.url.href,
        '',
        `It sends you back to ${callbackUri(needs, provider)}, where a page says that the sign-in is not`,
        'known: that is right. Copy the whole address of that page, and paste it here (it is not shown).',
        ...(trial.isByAddress
          ? [
              'The answer is asked for by address here, and not as a form: what comes with forms only is missing.',
            ]
          : []),
      ].join('\n'),
    )
    const atTerminal = this.stdin.isTTY === true
    let address = await ask(this, 'The address: ', { hidden: atTerminal })
    while (atTerminal && !trial.isAnswer(address)) {
      note(
        this,
        'That is not the address of that page, or it is of another attempt. Copy it once more, please.',
      )
      address = await ask(this, 'The address: ', { hidden: true })
    }
    return trial.finish(address)
  })
  const { secrets, ...shown } = withoutTexts(result, [...result.secrets, ...secretsOf(config)])
  say(this, flags.json ? JSON.stringify(shown, null, 2) : printTrial(providerName(provider), shown))
}

/** What a provider did wrong is for whoever sits here; elsewhere it goes to the log. */
async function saidPlainly<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    throw new CommandError(`The sign-in does not work: ${messageOf(error)}`, { cause: error })
  }
}
