import { Type } from '@sinclair/typebox'
import { list, section, url } from './parts.ts'

/** `outgoing`: how other servers are reached. */
export const outgoing = section(
  {
    https_proxy: url('The proxy for `https:` addresses. Without it: the variables HTTPS_PROXY or ALL_PROXY.'),
    http_proxy: url('The proxy for `http:` addresses. Without it: the variables HTTP_PROXY or ALL_PROXY.'),
    no_proxy: list(
      Type.String({ minLength: 1 }),
      [],
      'Hosts that are reached without a proxy: names (with all below them), addresses, networks, each with or without a port. Without it: the variable NO_PROXY.',
    ),
  },
  'How other servers are reached.',
)
