// An OpenID Connect provider on loopback. Its sign-in page takes any password; the name decides the roles.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const { port, redirectUri } = JSON.parse(process.argv[2]);
const ROLES = { grace: ['staff', 'doctors'], linus: ['ml'], mallory: [] };

const key = (type, options, kid, alg) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig',
});
const client = (id, alg, more) => ({
  client_id: id, redirect_uris: [redirectUri], grant_types: ['authorization_code'], response_types: ['code'],
  id_token_signed_response_alg: alg, ...more,
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    client('confidential', 'RS256', { client_secret: 'a secret: of/the client' }),
    client('posting', 'RS256', { client_secret: 'another secret', token_endpoint_auth_method: 'client_secret_post' }),
    client('public', 'ES256', { token_endpoint_auth_method: 'none' }),
  ],
  jwks: { keys: [key('rsa', { modulusLength: 2048 }, 'r', 'RS256'), key('ec', { namedCurve: 'P-256' }, 'e', 'ES256')] },
  claims: { openid: ['sub'], profile: ['preferred_username', 'roles'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['only for tests'] },
  findAccount: async (_context, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, preferred_username: id, roles: ROLES[id] ?? ['doctors'] }),
  }),
});
provider.listen(port, '127.0.0.1', () => console.log('ready'));
