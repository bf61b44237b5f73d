-- Organisations, who may act for them, and their campaigns.

CREATE TABLE organizadoras (
    id             uuid PRIMARY KEY,
    slug           text NOT NULL CONSTRAINT organizadoras_slug_unico UNIQUE
                   CONSTRAINT organizadoras_slug_forma CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) BETWEEN 3 AND 80),
    nome           text NOT NULL CONSTRAINT organizadoras_nome_tamanho CHECK (char_length(nome) BETWEEN 1 AND 120),
    cnpj           text NOT NULL CONSTRAINT organizadoras_cnpj_unico UNIQUE
                   CONSTRAINT organizadoras_cnpj_forma CHECK (cnpj ~ '^[0-9A-Z]{12}[0-9]{2}$'),
    situacao       text NOT NULL DEFAULT 'pendente'
                   CONSTRAINT organizadoras_situacao CHECK (situacao IN ('pendente', 'verificada', 'suspensa')),
    versao         integer NOT NULL DEFAULT 1,
    criada_em      timestamptz NOT NULL,
    atualizada_em  timestamptz NOT NULL
);

-- Every PIX key an organisation ever had. The one in force is the newest whose `vigora_em` has come; a change
-- under cool-down is a row with a later `vigora_em`.
CREATE TABLE organizadora_chaves_pix (
    id                uuid PRIMARY KEY,
    organizadora_id   uuid NOT NULL REFERENCES organizadoras (id),
    tipo              text NOT NULL CONSTRAINT chaves_pix_tipo CHECK (tipo IN ('cpf', 'cnpj', 'telefone', 'email', 'aleatoria')),
    chave             text NOT NULL CONSTRAINT chaves_pix_tamanho CHECK (char_length(chave) BETWEEN 1 AND 77),
    nome_recebedor    text NOT NULL CONSTRAINT chaves_pix_nome_tamanho CHECK (char_length(nome_recebedor) BETWEEN 1 AND 25),
    cidade            text NOT NULL CONSTRAINT chaves_pix_cidade_tamanho CHECK (char_length(cidade) BETWEEN 1 AND 15),
    criada_por        uuid NOT NULL REFERENCES pessoas (id),
    criada_em         timestamptz NOT NULL,
    vigora_em         timestamptz NOT NULL CONSTRAINT chaves_pix_vigencia CHECK (vigora_em >= criada_em)
);
CREATE INDEX chaves_pix_vigente ON organizadora_chaves_pix (organizadora_id, vigora_em DESC, id DESC);

CREATE TABLE organizadora_membros (
    organizadora_id  uuid NOT NULL REFERENCES organizadoras (id),
    pessoa_id        uuid NOT NULL REFERENCES pessoas (id),
    papel            text NOT NULL CONSTRAINT membros_papel CHECK (papel IN ('dona', 'editora', 'financeiro', 'leitura')),
    criado_em        timestamptz NOT NULL,
    CONSTRAINT membros_pk PRIMARY KEY (organizadora_id, pessoa_id)
);
CREATE INDEX membros_pessoa ON organizadora_membros (pessoa_id);

-- Never zero `dona`. The organisation's row is locked first, or two owners who step down at the same time
-- would each still see the other.
CREATE FUNCTION exigir_dona() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    -- Not against the key locks that every confirmation takes.
    PERFORM FROM organizadoras WHERE id = OLD.organizadora_id FOR NO KEY UPDATE;
    IF NOT EXISTS (SELECT FROM organizadora_membros
                   WHERE organizadora_id = OLD.organizadora_id AND papel = 'dona' AND pessoa_id <> OLD.pessoa_id)
    THEN
        RAISE EXCEPTION 'an organizadora keeps at least one dona'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'membros_ao_menos_uma_dona';
    END IF;
    RETURN coalesce(NEW, OLD);
END
$$;
CREATE TRIGGER membros_dona_fica BEFORE DELETE ON organizadora_membros
    FOR EACH ROW WHEN (OLD.papel = 'dona') EXECUTE FUNCTION exigir_dona();
CREATE TRIGGER membros_dona_muda BEFORE UPDATE ON organizadora_membros
    FOR EACH ROW WHEN (OLD.papel = 'dona' AND NEW.papel <> 'dona') EXECUTE FUNCTION exigir_dona();

CREATE TABLE campanhas (
    id                uuid PRIMARY KEY,
    organizadora_id   uuid NOT NULL REFERENCES organizadoras (id),
    slug              text NOT NULL CONSTRAINT campanhas_slug_unico UNIQUE
                      CONSTRAINT campanhas_slug_forma CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) BETWEEN 3 AND 80),
    titulo            text NOT NULL CONSTRAINT campanhas_titulo_tamanho CHECK (char_length(titulo) BETWEEN 3 AND 120),
    descricao         text NOT NULL CONSTRAINT campanhas_descricao_tamanho CHECK (char_length(descricao) BETWEEN 1 AND 20000),
    categoria         text NOT NULL CONSTRAINT campanhas_categoria CHECK (categoria IN
                      ('saude', 'educacao', 'animais', 'meio_ambiente', 'emergencia', 'cultura', 'esporte', 'social', 'outras')),
    meta_centavos     bigint CONSTRAINT campanhas_meta_positiva CHECK (meta_centavos > 0),
    minimo_centavos   bigint NOT NULL CONSTRAINT campanhas_minimo_positivo CHECK (minimo_centavos > 0),
    maximo_centavos   bigint NOT NULL,
    moeda             char(3) NOT NULL DEFAULT 'BRL' CONSTRAINT campanhas_moeda CHECK (moeda = 'BRL'),
    inicio_em         timestamptz,
    fim_em            timestamptz,
    mostra_valores    boolean NOT NULL DEFAULT true,
    situacao          text NOT NULL DEFAULT 'rascunho' CONSTRAINT campanhas_situacao CHECK (situacao IN
                      ('rascunho', 'em_analise', 'publicada', 'pausada', 'encerrada', 'rejeitada')),
    publicada_em      timestamptz,
    encerrada_em      timestamptz,
    versao            integer NOT NULL DEFAULT 1,
    criada_em         timestamptz NOT NULL,
    atualizada_em     timestamptz NOT NULL,
    busca             tsvector GENERATED ALWAYS AS (vetor_de_busca(titulo, 'A') || vetor_de_busca(descricao, 'B')) STORED,
    CONSTRAINT campanhas_limites CHECK (maximo_centavos >= minimo_centavos),
    CONSTRAINT campanhas_periodo CHECK (fim_em > inicio_em),
    CONSTRAINT campanhas_publicacao CHECK (situacao NOT IN ('publicada', 'pausada', 'encerrada') OR publicada_em IS NOT NULL)
);
CREATE INDEX campanhas_busca ON campanhas USING gin (busca);
CREATE INDEX campanhas_titulo_trigramas ON campanhas USING gin (sem_acento(titulo) gin_trgm_ops);
CREATE INDEX campanhas_recentes ON campanhas (situacao, publicada_em DESC, id DESC);
CREATE INDEX campanhas_por_categoria ON campanhas (categoria, situacao, publicada_em DESC, id DESC);
CREATE INDEX campanhas_da_organizadora ON campanhas (organizadora_id, id DESC);
CREATE INDEX campanhas_a_encerrar ON campanhas (fim_em) WHERE situacao IN ('publicada', 'pausada');

-- Goal and deadline are what donors were promised: both stand still once a campaign was published.
CREATE FUNCTION congelar_promessa() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'meta_centavos and fim_em are frozen once published'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'campanhas_promessa_congelada';
END
$$;
CREATE TRIGGER campanhas_promessa BEFORE UPDATE ON campanhas
    FOR EACH ROW WHEN (OLD.publicada_em IS NOT NULL
        AND (NEW.meta_centavos IS DISTINCT FROM OLD.meta_centavos OR NEW.fim_em IS DISTINCT FROM OLD.fim_em))
    EXECUTE FUNCTION congelar_promessa();

GRANT SELECT, INSERT, UPDATE ON organizadoras, campanhas TO app;
GRANT SELECT, INSERT ON organizadora_chaves_pix TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON organizadora_membros TO app;
CREATE TRIGGER chaves_pix_imutaveis BEFORE UPDATE OR DELETE ON organizadora_chaves_pix
    FOR EACH ROW EXECUTE FUNCTION recusar_mudanca();
