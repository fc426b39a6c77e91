-- What an authorization request asks for: a code, or (where the operator allows it) tokens in the answer itself.
alter table latchkey.authorization_grants add column response_type text not null default 'code';
