-- What the operator said about the policy at run time; the newest row counts, over policy.data of the configuration.
create table latchkey.policy_data (
  id uuid primary key,
  -- What "newest" goes by: the clocks of two processes may differ.
  position bigint generated always as identity unique,
  created_at timestamptz not null,
  data jsonb not null
);
