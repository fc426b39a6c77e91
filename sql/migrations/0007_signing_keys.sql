-- Signing keys that `keys rotate` made (decision 15). Those of the configuration are not here.
create table latchkey.signing_keys (
  kid text primary key,
  -- PKCS#8 PEM, sealed under secrets.encryption.
  sealed_key text not null,
  created_at timestamptz not null,
  -- Published at once, used from here on: every cached copy of the key set has it by then.
  signs_from timestamptz not null
);
