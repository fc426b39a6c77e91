import { Type } from '@sinclair/typebox'
import { admission, bool, fields, int, list, needText, oneOf, section, text, textOr, url } from './parts.ts'

const scope = oneOf(['sub', 'one', 'base'], 'sub', 'How far below `base` is looked.')

/** `ldap`: a directory that checks passwords. */
export const ldap = Type.Optional(
  fields(
    {
      urls: Type.Array(needText('`ldaps://host` or `ldap://host`, with a port if need be.'), {
        minItems: 1,
        description:
          'Where the directory is: `ldaps://host` or `ldap://host`, with a port if need be. Several are copies of each other, and the first that answers is asked.',
      }),
      tls: section(
        {
          start_tls: bool(false, 'Encrypt `ldap://` connections with StartTLS before anything else is said.'),
          ca: text(
            'Who signed the certificate of the directory, in PEM, in place of the authorities that this machine trusts.',
          ),
          ca_file: text('The same, from a file.'),
          server_name: text('The name in its certificate, where that is not the host of the address.'),
          allow_plaintext: bool(
            false,
            'Passwords may cross the network as they are. Only for a tunnel that encrypts them.',
          ),
        },
        'Encryption.',
      ),
      bind_dn: text('Who looks people up. Without it, nobody in particular does (an anonymous search).'),
      bind_password: text('Its password.'),
      bind_password_file: text('The same, from a file.'),
      search: Type.Optional(
        fields(
          {
            base: needText('Below which entry people are.'),
            filter: needText(
              'Which entry is somebody’s, with `{{ username }}` for what was typed: `(&(objectClass=person)(uid={{ username }}))`.',
            ),
            scope,
          },
          'How the entry of a person is found. Either this or `user_dn`.',
        ),
      ),
      user_dn: text(
        'The name of a person’s entry, with `{{ username }}`: `uid={{ username }},ou=people,dc=example,dc=com`. Nobody looks it up: the person signs in with it, and reads it.',
      ),
      groups: Type.Optional(
        fields(
          {
            base: needText('Below which entry groups are.'),
            filter: needText(
              'Which groups are a person’s, with `{{ dn }}` for the name of their entry and `{{ user.uid }}` for any attribute of it: `(member={{ dn }})`.',
            ),
            scope,
            attribute: textOr('cn', 'The name of a group.'),
          },
          'How groups are found, for `user.groups` in expressions. Not needed where entries have `memberOf`.',
        ),
      ),
      attributes: section(
        {
          id: textOr(
            'entryUUID',
            'The attribute that stays when somebody is renamed: `entryUUID`, `objectGUID` (Active Directory), `nsUniqueId`, `ipaUniqueID`.',
          ),
          localpart: textOr('{{ user.uid.lower() }}', 'User name of a new account: a template.'),
          displayname: textOr('{{ user.displayName or user.cn }}', 'Display name: a template. Empty: none.'),
          email: textOr('{{ user.mail }}', 'Email address, taken as proven: a template. Empty: none.'),
        },
        'What is taken over from an entry.',
      ),
      ...admission('the entry'),
      allow_registration: bool(
        true,
        '`false`: no accounts are made; people sign in to those that are linked already, or that `on_conflict` gives them.',
      ),
      sync_on_login: list(
        Type.Union([Type.Literal('displayname'), Type.Literal('email')]),
        [],
        'What is taken over at every sign-in, not only at the first: `displayname`, `email`.',
      ),
      on_conflict: oneOf(
        ['fail', 'add', 'replace'],
        'fail',
        'What happens when somebody comes for the first time and an account has their name already: they are turned away, they get it unless another entry has it (`add`), or they get it (`replace`).',
      ),
      password_url: url('Where people change their password; our pages lead there.'),
      timeout: int(10, 1, 60, 'Seconds that one check of a password may take.'),
    },
    'A directory (LDAP, Active Directory) that checks the passwords of people.',
  ),
)
