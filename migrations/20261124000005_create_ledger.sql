-- Double entry: every lancamento has at least two partidas and they sum to zero, held at COMMIT. Append-only.

CREATE TABLE contas (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tipo    text NOT NULL CONSTRAINT contas_tipo CHECK (tipo IN ('banco', 'campanha', 'a_devolver')),
    -- The organizadora (banco, a_devolver) or the campanha that the account belongs to.
    dono    uuid NOT NULL,
    CONSTRAINT contas_unica UNIQUE (tipo, dono)
);

CREATE TABLE lancamentos (
    id         uuid PRIMARY KEY,
    idem       text NOT NULL CONSTRAINT lancamentos_idem_unico UNIQUE,
    tipo       text NOT NULL CONSTRAINT lancamentos_tipo CHECK (tipo IN
               ('confirmacao', 'excedente', 'devolucao', 'devolucao_excedente')),
    doacao_id  uuid NOT NULL REFERENCES doacoes (id),
    em         timestamptz NOT NULL
);
CREATE INDEX lancamentos_da_doacao ON lancamentos (doacao_id);

CREATE TABLE partidas (
    lancamento_id   uuid NOT NULL REFERENCES lancamentos (id),
    conta_id        bigint NOT NULL REFERENCES contas (id),
    -- Debits are positive, credits negative.
    valor_centavos  bigint NOT NULL CONSTRAINT partidas_valor_nao_zero CHECK (valor_centavos <> 0),
    CONSTRAINT partidas_pk PRIMARY KEY (lancamento_id, conta_id)
);
CREATE INDEX partidas_da_conta ON partidas (conta_id);

CREATE FUNCTION exigir_lancamento_balanceado() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    alvo uuid;
    quantas bigint;
    soma numeric;
BEGIN
    IF TG_TABLE_NAME = 'lancamentos' THEN
        alvo := NEW.id;
    ELSE
        alvo := NEW.lancamento_id;
    END IF;
    SELECT count(*), coalesce(sum(valor_centavos), 0) INTO quantas, soma FROM partidas WHERE lancamento_id = alvo;
    IF quantas < 2 OR soma <> 0 THEN
        RAISE EXCEPTION 'lancamento % has % partidas that sum to %', alvo, quantas, soma
            USING ERRCODE = 'check_violation', CONSTRAINT = 'lancamentos_balanceados';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER lancamentos_balanceados AFTER INSERT ON lancamentos
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION exigir_lancamento_balanceado();
CREATE CONSTRAINT TRIGGER partidas_balanceadas AFTER INSERT ON partidas
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION exigir_lancamento_balanceado();

CREATE TRIGGER lancamentos_imutaveis BEFORE UPDATE OR DELETE ON lancamentos FOR EACH ROW EXECUTE FUNCTION recusar_mudanca();
CREATE TRIGGER lancamentos_sem_truncate BEFORE TRUNCATE ON lancamentos FOR EACH STATEMENT EXECUTE FUNCTION recusar_mudanca();
CREATE TRIGGER partidas_imutaveis BEFORE UPDATE OR DELETE ON partidas FOR EACH ROW EXECUTE FUNCTION recusar_mudanca();
CREATE TRIGGER partidas_sem_truncate BEFORE TRUNCATE ON partidas FOR EACH STATEMENT EXECUTE FUNCTION recusar_mudanca();
CREATE TRIGGER contas_imutaveis BEFORE UPDATE OR DELETE ON contas FOR EACH ROW EXECUTE FUNCTION recusar_mudanca();

GRANT SELECT, INSERT ON contas, lancamentos, partidas TO app;

-- Totals. A confirmation appends to totais_delta; one folder moves deltas into campanha_totais, so that a hot
-- campaign has no row that every donor waits for. In every snapshot totals + unfolded deltas = the ledger.
CREATE TABLE campanha_totais (
    campanha_id           uuid PRIMARY KEY REFERENCES campanhas (id),
    arrecadado_centavos   bigint NOT NULL DEFAULT 0 CONSTRAINT totais_arrecadado CHECK (arrecadado_centavos >= 0),
    declarado_centavos    bigint NOT NULL DEFAULT 0 CONSTRAINT totais_declarado CHECK (declarado_centavos BETWEEN 0 AND arrecadado_centavos),
    devolvido_centavos    bigint NOT NULL DEFAULT 0 CONSTRAINT totais_devolvido CHECK (devolvido_centavos BETWEEN 0 AND arrecadado_centavos),
    doacoes_qtd           bigint NOT NULL DEFAULT 0 CONSTRAINT totais_doacoes CHECK (doacoes_qtd >= 0),
    doadores_qtd          bigint NOT NULL DEFAULT 0 CONSTRAINT totais_doadores CHECK (doadores_qtd BETWEEN 0 AND doacoes_qtd),
    -- Raised by every fold; readers order what they have seen by it.
    seq                   bigint NOT NULL DEFAULT 0,
    atualizado_em         timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX totais_mais_arrecadado ON campanha_totais (arrecadado_centavos DESC, campanha_id DESC);

-- No foreign keys: the row lives for a moment and is written on the hottest path there is.
CREATE TABLE totais_delta (
    id                   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campanha_id          uuid NOT NULL,
    doacao_id            uuid NOT NULL,
    evento_seq           integer NOT NULL,
    arrecadado_centavos  bigint NOT NULL DEFAULT 0,
    declarado_centavos   bigint NOT NULL DEFAULT 0,
    devolvido_centavos   bigint NOT NULL DEFAULT 0,
    doacoes_qtd          integer NOT NULL DEFAULT 0,
    -- Set by a confirmation, NULL by a refund.
    doador_chave         bytea,
    criado_em            timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE TABLE campanha_doadores (
    campanha_id   uuid NOT NULL,
    doador_chave  bytea NOT NULL,
    CONSTRAINT campanha_doadores_pk PRIMARY KEY (campanha_id, doador_chave)
);

GRANT SELECT, INSERT, UPDATE ON campanha_totais TO app;
-- UPDATE only for FOR UPDATE SKIP LOCKED: the granted column is never written.
GRANT SELECT, INSERT, DELETE, UPDATE (criado_em) ON totais_delta TO app;
GRANT SELECT, INSERT ON campanha_doadores TO app;
