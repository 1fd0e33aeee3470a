-- What there is to buy: 1,500 products of acme, twenty of each small tenant.
-- A description makes a line about 130 bytes long, so acme's whole assortment
-- is some 200 kB and a small tenant's some 3 kB.
CREATE TABLE products (
    id          integer PRIMARY KEY,
    tenant_id   text    NOT NULL,
    name        text    NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents > 0),
    description text    NOT NULL
);

CREATE INDEX products_by_tenant ON products (tenant_id, id);

-- A warehouse of a thousand million pieces does not run dry within any test.
-- The free space in every page lets an update stay in its page.
CREATE TABLE stock (
    product_id integer PRIMARY KEY REFERENCES products (id),
    quantity   bigint  NOT NULL CHECK (quantity >= 0)
) WITH (fillfactor = 50);

INSERT INTO products (id, tenant_id, name, price_cents, description)
SELECT
    n,
    CASE
        WHEN n <= 1500 THEN 'acme'
        ELSE (ARRAY['birch', 'cedar', 'dune', 'elm', 'fjord', 'grove', 'heath', 'isle', 'juniper'])[(n - 1501) / 20 + 1]
    END,
    adjective || ' ' || noun || ' No. ' || n,
    199 + (n * 7919) % 9800,
    'A ' || lower(adjective) || ' ' || noun || ' of our own make, tested by hand and sent the same day.'
FROM generate_series(1, 1680) AS n
CROSS JOIN LATERAL (
    SELECT
        (ARRAY['Plain', 'Sturdy', 'Quiet', 'Folding', 'Copper', 'Oak', 'Linen'])[n % 7 + 1] AS adjective,
        (ARRAY['lamp', 'chair', 'kettle', 'notebook', 'clock', 'basket', 'ladder', 'mirror', 'stool', 'tray', 'vase'])[n % 11 + 1] AS noun
) AS words;

INSERT INTO stock (product_id, quantity)
SELECT id, 1000000000 FROM products;

ANALYZE products, stock;
