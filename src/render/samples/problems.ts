import { HOSTILE, HOSTILE_URI, type Samples } from './parts.ts'

/** Pages of what went wrong. */
export const problemSamples = {
  error: [
    { label: 'bare', context: {} },
    {
      label: 'all parts',
      context: {
        title: 'We do not know this app',
        description: 'The app that sent you here is not known to this service. Go back to it and try again.',
        code: 'invalid_client',
        reference_id: '7KQ2-M4XH',
        back: { url: 'https://tern.example/', label: 'Back to Tern' },
      },
    },
    {
      label: 'hostile',
      context: {
        title: HOSTILE,
        description: HOSTILE,
        code: HOSTILE,
        reference_id: HOSTILE,
        back: { url: HOSTILE_URI, label: HOSTILE },
      },
    },
  ],
  not_found: [
    { label: 'plain', context: {} },
    { label: 'standalone', context: {}, base: { standalone: true } },
  ],
  rate_limited: [
    { label: 'seconds', context: { retry_after_seconds: 1 } },
    {
      label: 'minutes, way back',
      context: { retry_after_seconds: 1210, back: { url: '/auth/login', label: 'Back' } },
    },
    { label: 'hours', context: { retry_after_seconds: 7201 } },
  ],
} satisfies Partial<Samples>
