-- Which releases a migration suits. From this one on each migration inserts its row, with the newest migration of the oldest
-- release that still works on the schema that it leaves. Without a row it suits no older release, which then refuses to start.
CREATE TABLE compatibilidade (
    versao  bigint CONSTRAINT compatibilidade_pk PRIMARY KEY,
    minima  bigint NOT NULL CONSTRAINT compatibilidade_nao_posterior CHECK (minima <= versao)
);
GRANT SELECT ON compatibilidade TO app;
INSERT INTO compatibilidade (versao, minima) VALUES (20261125000001, 20261124000007);

-- A letter whose code is worth nothing after this time need not be sent any more.
ALTER TABLE caixa_saida ADD COLUMN vale_ate timestamptz;
