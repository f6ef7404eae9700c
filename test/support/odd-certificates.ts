/**
 * Certificates with something wrong, self-signed by one key, for tests of TLS on the
 * loopback. The key is public: it protects nothing.
 */

/** For `localhost` and 127.0.0.1, valid in January 2020. */
export const expiredCertificate = `-----BEGIN CERTIFICATE-----
MIIBZjCCAQugAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwHhcNMjAwMTAxMDAwMDAwWhcNMjAwMjAxMDAwMDAwWjAUMRIwEAYDVQQDDAls
b2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARNqUhGWjYvAnw81iq6
SL+DNJfRB9jLNzsj6IusDXF3ejCp28wJSPpU+Kiuo2BBaNupFhYQq76Cut94K1po
aSh/o04wTDAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwDwYDVR0TAQH/BAUw
AwEB/zAdBgNVHQ4EFgQUGKMr+J6/42ivA+jBS8nhqogRU/cwCgYIKoZIzj0EAwID
SQAwRgIhAKa1LuA5uVoUUPL4VXGS/m61RwkDmTuM63x24LcNKvQpAiEAnJJLOer9
jrIvswWTxHM4iyDAadoTRLgQtMJKhh/hys8=
-----END CERTIFICATE-----
`;

/** For `collector.example` only, valid for a hundred years. */
export const strangersCertificate = `-----BEGIN CERTIFICATE-----
MIIBrTCCAVOgAwIBAgIUb2lcxMBA+iQpPq9I1OHb+ggCJscwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRY29sbGVjdG9yLmV4YW1wbGUwIBcNMjYxMTIzMDAxNDEyWhgP
MjEyNjEwMzAwMDE0MTJaMBwxGjAYBgNVBAMMEWNvbGxlY3Rvci5leGFtcGxlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETalIRlo2LwJ8PNYquki/gzSX0QfYyzc7
I+iLrA1xd3owqdvMCUj6VPiorqNgQWjbqRYWEKu+grrfeCtaaGkof6NxMG8wHQYD
VR0OBBYEFBijK/iev+NorwPowUvJ4aqIEVP3MB8GA1UdIwQYMBaAFBijK/iev+No
rwPowUvJ4aqIEVP3MA8GA1UdEwEB/wQFMAMBAf8wHAYDVR0RBBUwE4IRY29sbGVj
dG9yLmV4YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIhAKolaDlXzwaYYVzJsgrbahzx
yoL3/bQYEoqZPgB3GcECAiBH1F8AqMMcO8AcaXdiFf3sQjre8ESdvCqEZVFsY4In
kQ==
-----END CERTIFICATE-----
`;

export const oddKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUecezH7pfNzBZfXp
YYDhYMAHC1YbpNHfN/OwK4oc6G+hRANCAARNqUhGWjYvAnw81iq6SL+DNJfRB9jL
Nzsj6IusDXF3ejCp28wJSPpU+Kiuo2BBaNupFhYQq76Cut94K1poaSh/
-----END PRIVATE KEY-----
`;
