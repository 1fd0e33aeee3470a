-- Who may buy. 1,200 users; every tenth belongs to acme, the wholesaler, the
-- others to nine small tenants in turn. The password of user0042@example.com is
-- password-0042, salted with the e-mail's MD5 so that this file is reproducible.
CREATE TABLE users (
    id              integer PRIMARY KEY,
    tenant_id       text    NOT NULL,
    email           text    NOT NULL UNIQUE,
    salt            bytea   NOT NULL,
    password_sha256 bytea   NOT NULL
);

CREATE TABLE sessions (
    token_sha256 bytea       PRIMARY KEY,
    user_id      integer     NOT NULL REFERENCES users (id),
    expires_at   timestamptz NOT NULL
);

INSERT INTO users (id, tenant_id, email, salt, password_sha256)
SELECT
    n,
    (ARRAY['acme', 'birch', 'cedar', 'dune', 'elm', 'fjord', 'grove', 'heath', 'isle', 'juniper'])[n % 10 + 1],
    email,
    salt,
    sha256(salt || convert_to('password-' || digits, 'UTF8'))
FROM generate_series(1, 1200) AS n
CROSS JOIN LATERAL (SELECT lpad(n::text, 4, '0') AS digits) AS numbered
CROSS JOIN LATERAL (SELECT 'user' || digits || '@example.com' AS email) AS addressed
CROSS JOIN LATERAL (SELECT decode(md5(email), 'hex') AS salt) AS salted;

ANALYZE users;
