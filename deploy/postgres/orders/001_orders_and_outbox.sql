-- What was bought, and the messages about it that are still to be sent. An
-- order and its message are written in one transaction, so neither is without
-- the other; the notifier deletes a message when it has sent it.
CREATE TABLE orders (
    id                 uuid        PRIMARY KEY,
    user_id            integer     NOT NULL,
    total_cents        bigint      NOT NULL,
    currency           text        NOT NULL,
    lines              jsonb       NOT NULL,
    authorization_code text        NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now()
);

-- `headers` carries the trace context and the baggage of whoever wrote the message.
CREATE TABLE outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   uuid        NOT NULL,
    email      text        NOT NULL,
    headers    jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
