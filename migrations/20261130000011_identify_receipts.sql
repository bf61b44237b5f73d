-- A member may confirm a payment without the bank's end-to-end id. When the bank tells the same payment later, its id is recorded
-- here, so that one payment stays one receipt. Rows of pix_recebidos never change.
CREATE TABLE pix_identificados (
    e2eid           text CONSTRAINT pix_identificados_pk PRIMARY KEY
                    CONSTRAINT pix_identificados_e2eid_forma CHECK (e2eid ~ '^E[0-9]{20}[A-Za-z0-9]{11}$'),
    -- The receipt that was confirmed by hand; the bank identifies it once.
    declarado       text NOT NULL CONSTRAINT pix_identificados_um_por_recibo UNIQUE REFERENCES pix_recebidos (e2eid)
                    CONSTRAINT pix_identificados_declarado_forma CHECK (declarado LIKE 'manual:%'),
    horario         timestamptz NOT NULL,
    evidencia       text NOT NULL CONSTRAINT pix_identificados_evidencia CHECK (evidencia IN ('psp', 'extrato')),
    criado_em       timestamptz NOT NULL
);
GRANT SELECT, INSERT ON pix_identificados TO app;

-- Statements print end-to-end ids in capitals; people type them as printed.
CREATE INDEX pix_recebidos_sem_caixa ON pix_recebidos (lower(e2eid));

INSERT INTO compatibilidade (versao, minima) VALUES (20261130000011, 20261124000007);
