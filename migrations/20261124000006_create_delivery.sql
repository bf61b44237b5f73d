-- What makes requests repeatable, messages delivered, and deeds answerable.

CREATE TABLE idempotencia (
    -- 'pessoa:{id}', or 'campanha:{id}' for a guest.
    dono        text NOT NULL,
    rota        text NOT NULL,
    chave       uuid NOT NULL,
    impressao   bytea NOT NULL CONSTRAINT idempotencia_sha256 CHECK (octet_length(impressao) = 32),
    status      smallint NOT NULL CONSTRAINT idempotencia_status CHECK (status BETWEEN 200 AND 299),
    -- The answer, encrypted: it holds a BR Code and names.
    resposta    bytea NOT NULL,
    criada_em   timestamptz NOT NULL,
    CONSTRAINT idempotencia_pk PRIMARY KEY (dono, rota, chave)
);
CREATE INDEX idempotencia_criada ON idempotencia (criada_em);

-- Outbox. Written in the effect's transaction, delivered after it, deleted when acknowledged.
CREATE TABLE caixa_saida (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tipo            text NOT NULL CONSTRAINT caixa_saida_tipo CHECK (tipo IN ('email')),
    -- Encrypted: addresses and one-time tokens.
    carga           bytea NOT NULL,
    tentativas      integer NOT NULL DEFAULT 0,
    proxima_em      timestamptz NOT NULL,
    criada_em       timestamptz NOT NULL,
    ultimo_erro     text,
    -- Parked after too many tries: kept for a person to look at, no longer retried.
    estacionada_em  timestamptz
);
CREATE INDEX caixa_saida_a_entregar ON caixa_saida (proxima_em, id) WHERE estacionada_em IS NULL;

CREATE TABLE auditoria (
    id         uuid PRIMARY KEY,
    em         timestamptz NOT NULL,
    ator       text NOT NULL,
    acao       text NOT NULL,
    alvo_tipo  text NOT NULL,
    alvo_id    uuid NOT NULL,
    detalhe    jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX auditoria_do_alvo ON auditoria (alvo_tipo, alvo_id, id DESC);
CREATE TRIGGER auditoria_imutavel BEFORE UPDATE OR DELETE ON auditoria FOR EACH ROW EXECUTE FUNCTION recusar_mudanca();
CREATE TRIGGER auditoria_sem_truncate BEFORE TRUNCATE ON auditoria FOR EACH STATEMENT EXECUTE FUNCTION recusar_mudanca();

-- Access records that the Marco Civil da Internet (art. 15) asks an application to keep for six months.
-- The application can add and expire them; reading them takes the owner's role.
CREATE TABLE registro_acesso (
    id         uuid PRIMARY KEY,
    em         timestamptz NOT NULL,
    ip         inet NOT NULL,
    acao       text NOT NULL CONSTRAINT registro_acesso_acao CHECK (acao IN ('cadastro', 'entrada', 'doacao', 'redefinicao')),
    pessoa_id  uuid,
    doacao_id  uuid
);
CREATE INDEX registro_acesso_em ON registro_acesso (em);
CREATE FUNCTION purgar_registro_acesso(antes timestamptz, limite integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH velhos AS (
        SELECT id FROM public.registro_acesso
        WHERE em < least(antes, now() - interval '6 months') ORDER BY em LIMIT limite
    ), apagados AS (
        DELETE FROM public.registro_acesso USING velhos WHERE registro_acesso.id = velhos.id RETURNING 1
    )
    SELECT count(*) FROM apagados;
$$;
REVOKE ALL ON FUNCTION purgar_registro_acesso(timestamptz, integer) FROM PUBLIC;

GRANT SELECT, INSERT, DELETE ON idempotencia TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON caixa_saida TO app;
GRANT SELECT, INSERT ON auditoria TO app;
GRANT INSERT ON registro_acesso TO app;
GRANT EXECUTE ON FUNCTION purgar_registro_acesso(timestamptz, integer) TO app;
