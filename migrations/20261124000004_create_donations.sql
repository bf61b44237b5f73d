-- Donations, their charges, what the bank received, and what went back.

CREATE TABLE doacoes (
    id                    uuid PRIMARY KEY,
    campanha_id           uuid NOT NULL REFERENCES campanhas (id),
    pessoa_id             uuid REFERENCES pessoas (id),
    -- Who gave, without saying who: a keyed hash of the e-mail, or of the donation itself where there is none.
    doador_chave          bytea NOT NULL CONSTRAINT doacoes_doador_chave_sha256 CHECK (octet_length(doador_chave) = 32),
    nome_exibicao         text CONSTRAINT doacoes_nome_tamanho CHECK (char_length(nome_exibicao) BETWEEN 1 AND 80),
    email_contato         text CONSTRAINT doacoes_email_tamanho CHECK (char_length(email_contato) BETWEEN 3 AND 254),
    valor_centavos        bigint NOT NULL CONSTRAINT doacoes_valor_positivo CHECK (valor_centavos > 0),
    recebido_centavos     bigint NOT NULL DEFAULT 0 CONSTRAINT doacoes_recebido CHECK (recebido_centavos >= 0),
    devolvido_centavos    bigint NOT NULL DEFAULT 0,
    moeda                 char(3) NOT NULL DEFAULT 'BRL' CONSTRAINT doacoes_moeda CHECK (moeda = 'BRL'),
    visibilidade          text NOT NULL CONSTRAINT doacoes_visibilidade CHECK (visibilidade IN ('publica', 'anonima', 'secreta')),
    oculta_valor          boolean NOT NULL DEFAULT false,
    mensagem              text CONSTRAINT doacoes_mensagem_tamanho CHECK (char_length(mensagem) BETWEEN 1 AND 280),
    mensagem_situacao     text NOT NULL DEFAULT 'publicada'
                          CONSTRAINT doacoes_mensagem_situacao CHECK (mensagem_situacao IN ('publicada', 'oculta')),
    provedor              text NOT NULL CONSTRAINT doacoes_provedor CHECK (provedor IN ('simulado', 'pix_estatico')),
    situacao              text NOT NULL CONSTRAINT doacoes_situacao CHECK (situacao IN
                          ('criada', 'aguardando_pagamento', 'confirmada', 'parcialmente_devolvida', 'devolvida', 'expirada',
                           'cancelada', 'falhou', 'em_analise', 'contestada', 'estornada')),
    evidencia             text CONSTRAINT doacoes_evidencia CHECK (evidencia IN ('psp', 'extrato', 'declarada')),
    aviso_privacidade     text NOT NULL,
    consentimento_em      timestamptz NOT NULL,
    expira_em             timestamptz NOT NULL,
    confirmada_em         timestamptz,
    versao                integer NOT NULL DEFAULT 1,
    criada_em             timestamptz NOT NULL,
    atualizada_em         timestamptz NOT NULL,
    CONSTRAINT doacoes_devolvido CHECK (devolvido_centavos BETWEEN 0 AND recebido_centavos),
    -- No money counts without evidence of a payment, and nothing is evidence of less than a centavo.
    CONSTRAINT doacoes_confirmada_com_evidencia CHECK (
        (situacao IN ('criada', 'aguardando_pagamento', 'expirada', 'cancelada', 'falhou', 'em_analise'))
        = (confirmada_em IS NULL AND evidencia IS NULL AND recebido_centavos = 0)),
    CONSTRAINT doacoes_secreta_sem_extrato CHECK (NOT (visibilidade = 'secreta' AND provedor = 'pix_estatico'))
);
CREATE INDEX doacoes_mural ON doacoes (campanha_id, confirmada_em DESC, id DESC)
    WHERE situacao IN ('confirmada', 'parcialmente_devolvida') AND visibilidade <> 'secreta';
-- For checking the books of some campaigns without reading all donations.
CREATE INDEX doacoes_da_campanha ON doacoes (campanha_id);
CREATE INDEX doacoes_da_pessoa ON doacoes (pessoa_id, id DESC) WHERE pessoa_id IS NOT NULL;
CREATE INDEX doacoes_a_expirar ON doacoes (expira_em) WHERE situacao = 'aguardando_pagamento';
CREATE INDEX doacoes_pendentes ON doacoes (campanha_id, id DESC) WHERE situacao = 'aguardando_pagamento';

-- The state machine, a second time and on purpose: no statement, whoever sends it, can leave it.
CREATE FUNCTION exigir_transicao_valida() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.situacao, NEW.situacao) NOT IN (
        ('criada', 'aguardando_pagamento'),
        ('aguardando_pagamento', 'confirmada'), ('aguardando_pagamento', 'expirada'), ('aguardando_pagamento', 'cancelada'),
        ('aguardando_pagamento', 'falhou'), ('aguardando_pagamento', 'em_analise'),
        ('em_analise', 'confirmada'), ('em_analise', 'cancelada'), ('em_analise', 'falhou'),
        ('expirada', 'confirmada'), ('cancelada', 'confirmada'), ('falhou', 'confirmada'),
        ('confirmada', 'parcialmente_devolvida'), ('confirmada', 'devolvida'), ('parcialmente_devolvida', 'devolvida'),
        ('confirmada', 'contestada'), ('contestada', 'confirmada'), ('contestada', 'estornada'))
    THEN
        RAISE EXCEPTION 'a doacao does not go from % to %', OLD.situacao, NEW.situacao
            USING ERRCODE = 'check_violation', CONSTRAINT = 'doacoes_transicao_valida';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER doacoes_transicao BEFORE UPDATE ON doacoes
    FOR EACH ROW WHEN (OLD.situacao <> NEW.situacao) EXECUTE FUNCTION exigir_transicao_valida();

CREATE TABLE doacao_eventos (
    doacao_id  uuid NOT NULL REFERENCES doacoes (id),
    seq        integer NOT NULL CONSTRAINT doacao_eventos_seq_positiva CHECK (seq > 0),
    de         text,
    para       text NOT NULL,
    -- 'pessoa:{id}', 'convidada', 'psp' or 'sistema'.
    ator       text NOT NULL,
    motivo     text,
    em         timestamptz NOT NULL,
    CONSTRAINT doacao_eventos_pk PRIMARY KEY (doacao_id, seq)
);
CREATE TRIGGER doacao_eventos_imutaveis BEFORE UPDATE OR DELETE ON doacao_eventos
    FOR EACH ROW EXECUTE FUNCTION recusar_mudanca();
CREATE TRIGGER doacao_eventos_sem_truncate BEFORE TRUNCATE ON doacao_eventos
    FOR EACH STATEMENT EXECUTE FUNCTION recusar_mudanca();

CREATE TABLE pagamentos (
    id              uuid PRIMARY KEY,
    doacao_id       uuid NOT NULL REFERENCES doacoes (id),
    provedor        text NOT NULL CONSTRAINT pagamentos_provedor CHECK (provedor IN ('simulado', 'pix_estatico')),
    txid            text NOT NULL CONSTRAINT pagamentos_txid_forma CHECK (txid ~ '^[A-Za-z0-9]{1,35}$'),
    valor_centavos  bigint NOT NULL CONSTRAINT pagamentos_valor_positivo CHECK (valor_centavos > 0),
    br_code         text NOT NULL CONSTRAINT pagamentos_br_code_tamanho CHECK (char_length(br_code) <= 512),
    situacao        text NOT NULL CONSTRAINT pagamentos_situacao CHECK (situacao IN ('pendente', 'pago', 'expirado', 'cancelado')),
    expira_em       timestamptz NOT NULL,
    criado_em       timestamptz NOT NULL,
    CONSTRAINT pagamentos_txid_unico UNIQUE (provedor, txid)
);
CREATE INDEX pagamentos_da_doacao ON pagamentos (doacao_id, id);

-- What the bank says it received. The key is the bank's own, so a receipt told twice counts once.
CREATE TABLE pix_recebidos (
    e2eid            text CONSTRAINT pix_recebidos_pk PRIMARY KEY
                     CONSTRAINT pix_recebidos_e2eid_forma CHECK (e2eid ~ '^E[0-9]{20}[A-Za-z0-9]{11}$' OR e2eid ~ '^manual:[0-9a-f-]{36}$'),
    organizadora_id  uuid NOT NULL REFERENCES organizadoras (id),
    txid             text,
    pagamento_id     uuid REFERENCES pagamentos (id),
    valor_centavos   bigint NOT NULL CONSTRAINT pix_recebidos_valor_positivo CHECK (valor_centavos > 0),
    horario          timestamptz NOT NULL,
    evidencia        text NOT NULL CONSTRAINT pix_recebidos_evidencia CHECK (evidencia IN ('psp', 'extrato', 'declarada')),
    conciliacao      text NOT NULL CONSTRAINT pix_recebidos_conciliacao
                     CHECK (conciliacao IN ('exata', 'a_maior', 'a_menor', 'duplicada', 'orfa')),
    justificativa    text CONSTRAINT pix_recebidos_justificativa_tamanho CHECK (char_length(justificativa) BETWEEN 1 AND 500),
    registrado_por   uuid REFERENCES pessoas (id),
    criado_em        timestamptz NOT NULL,
    CONSTRAINT pix_recebidos_orfa CHECK ((conciliacao = 'orfa') = (pagamento_id IS NULL)),
    CONSTRAINT pix_recebidos_declarada CHECK ((evidencia = 'declarada') = (registrado_por IS NOT NULL))
);
CREATE INDEX pix_recebidos_do_pagamento ON pix_recebidos (pagamento_id);
-- A donation is credited by one receipt; every further one is `duplicada`.
CREATE UNIQUE INDEX pix_recebidos_um_credito ON pix_recebidos (pagamento_id) WHERE conciliacao IN ('exata', 'a_maior', 'a_menor');
CREATE INDEX pix_recebidos_orfas ON pix_recebidos (organizadora_id, valor_centavos, horario) WHERE conciliacao = 'orfa';

CREATE TABLE devolucoes (
    id              uuid PRIMARY KEY,
    doacao_id       uuid NOT NULL REFERENCES doacoes (id),
    pagamento_id    uuid NOT NULL REFERENCES pagamentos (id),
    e2eid           text NOT NULL REFERENCES pix_recebidos (e2eid),
    id_devolucao    text NOT NULL CONSTRAINT devolucoes_id_forma CHECK (id_devolucao ~ '^[A-Za-z0-9]{1,35}$'),
    valor_centavos  bigint NOT NULL CONSTRAINT devolucoes_valor_positivo CHECK (valor_centavos > 0),
    motivo          text CONSTRAINT devolucoes_motivo_tamanho CHECK (char_length(motivo) BETWEEN 1 AND 500),
    situacao        text NOT NULL CONSTRAINT devolucoes_situacao CHECK (situacao IN ('registrada')),
    criada_por      uuid NOT NULL REFERENCES pessoas (id),
    criada_em       timestamptz NOT NULL,
    CONSTRAINT devolucoes_id_unico UNIQUE (e2eid, id_devolucao)
);
CREATE INDEX devolucoes_da_doacao ON devolucoes (doacao_id, id);

-- Σ devoluções of a receipt ≤ the receipt. The receipt's row is locked, so two refunds at once are counted one after the other.
CREATE FUNCTION limitar_devolucao() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    recebido bigint;
    devolvido bigint;
BEGIN
    SELECT valor_centavos INTO recebido FROM pix_recebidos WHERE e2eid = NEW.e2eid FOR NO KEY UPDATE;
    SELECT coalesce(sum(valor_centavos), 0) INTO devolvido FROM devolucoes WHERE e2eid = NEW.e2eid;
    IF devolvido + NEW.valor_centavos > recebido THEN
        RAISE EXCEPTION 'refunds of a receipt never exceed it'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'devolucoes_ate_o_recebido';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER devolucoes_limite BEFORE INSERT ON devolucoes FOR EACH ROW EXECUTE FUNCTION limitar_devolucao();
CREATE TRIGGER devolucoes_imutaveis BEFORE UPDATE OR DELETE ON devolucoes
    FOR EACH ROW EXECUTE FUNCTION recusar_mudanca();

GRANT SELECT, INSERT, UPDATE ON doacoes, pagamentos TO app;
-- UPDATE only for the row lock of limitar_devolucao(): the granted column is never written.
GRANT SELECT, INSERT, UPDATE (justificativa) ON pix_recebidos TO app;
GRANT SELECT, INSERT ON doacao_eventos, devolucoes TO app;
