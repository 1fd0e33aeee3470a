-- Our own books: one merchant account (1) that every payment is credited to,
-- accounts of the tenants, and one entry a payment.
CREATE TABLE accounts (
    id            integer PRIMARY KEY,
    name          text    NOT NULL UNIQUE,
    balance_cents bigint  NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE entries (
    id                 bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id           uuid        NOT NULL,
    account_id         integer     NOT NULL REFERENCES accounts (id),
    amount_cents       bigint      NOT NULL,
    authorization_code text        NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now()
);

INSERT INTO accounts (id, name, balance_cents)
SELECT n, name, 0
FROM unnest(ARRAY[
    'merchant', 'acme', 'birch', 'cedar', 'dune', 'elm', 'fjord', 'grove', 'heath', 'isle', 'juniper'
]) WITH ORDINALITY AS listed (name, n);
