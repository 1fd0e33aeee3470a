-- What goes with what. Every other product has something that goes with it; of
-- the rest the shop knows nothing, as of most things in a real assortment.
CREATE TABLE related (
    product_id integer PRIMARY KEY REFERENCES products (id),
    related_id integer NOT NULL REFERENCES products (id)
);

INSERT INTO related (product_id, related_id)
SELECT id, id - 1 FROM products WHERE id % 2 = 0;

ANALYZE related;
