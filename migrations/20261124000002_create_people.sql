-- People, their sessions and one-time tokens. Only hashes of secrets are stored.

CREATE TABLE pessoas (
    id                   uuid PRIMARY KEY,
    nome                 text NOT NULL CONSTRAINT pessoas_nome_tamanho CHECK (char_length(nome) BETWEEN 1 AND 120),
    email                text NOT NULL CONSTRAINT pessoas_email_tamanho CHECK (char_length(email) BETWEEN 3 AND 254),
    email_verificado_em  timestamptz,
    senha_hash           text NOT NULL,
    papel                text NOT NULL DEFAULT 'pessoa'
                         CONSTRAINT pessoas_papel CHECK (papel IN ('pessoa', 'moderadora', 'admin')),
    situacao             text NOT NULL DEFAULT 'ativa' CONSTRAINT pessoas_situacao CHECK (situacao IN ('ativa', 'suspensa')),
    -- Sessions carry the value they were opened under; raising it ends all of them at once.
    versao_auth          integer NOT NULL DEFAULT 1,
    versao               integer NOT NULL DEFAULT 1,
    aviso_privacidade    text NOT NULL,
    consentimento_em     timestamptz NOT NULL,
    criada_em            timestamptz NOT NULL,
    atualizada_em        timestamptz NOT NULL,
    apagada_em           timestamptz
);
CREATE UNIQUE INDEX pessoas_email_unico ON pessoas (lower(email)) WHERE apagada_em IS NULL;

-- A sign-up waits here until its e-mail is proven. Each carries its own password, so a stranger's earlier
-- sign-up with the same address does not block the owner's.
CREATE TABLE cadastros (
    token_hash         bytea PRIMARY KEY CONSTRAINT cadastros_token_sha256 CHECK (octet_length(token_hash) = 32),
    pessoa_id          uuid NOT NULL UNIQUE,
    nome               text NOT NULL CONSTRAINT cadastros_nome_tamanho CHECK (char_length(nome) BETWEEN 1 AND 120),
    email              text NOT NULL,
    senha_hash         text NOT NULL,
    aviso_privacidade  text NOT NULL,
    criado_em          timestamptz NOT NULL,
    expira_em          timestamptz NOT NULL
);
CREATE INDEX cadastros_expira ON cadastros (expira_em);

CREATE TABLE tokens_unicos (
    hash        bytea PRIMARY KEY CONSTRAINT tokens_unicos_sha256 CHECK (octet_length(hash) = 32),
    pessoa_id   uuid NOT NULL REFERENCES pessoas (id),
    finalidade  text NOT NULL CONSTRAINT tokens_unicos_finalidade CHECK (finalidade IN ('redefinir_senha')),
    criado_em   timestamptz NOT NULL,
    expira_em   timestamptz NOT NULL,
    usado_em    timestamptz
);
CREATE INDEX tokens_unicos_pessoa ON tokens_unicos (pessoa_id);
CREATE INDEX tokens_unicos_expira ON tokens_unicos (expira_em);

CREATE TABLE sessoes (
    id                 uuid PRIMARY KEY,
    hash               bytea NOT NULL CONSTRAINT sessoes_hash_unico UNIQUE
                       CONSTRAINT sessoes_sha256 CHECK (octet_length(hash) = 32),
    pessoa_id          uuid NOT NULL REFERENCES pessoas (id),
    versao_auth        integer NOT NULL,
    agente             text CONSTRAINT sessoes_agente_tamanho CHECK (char_length(agente) <= 200),
    criada_em          timestamptz NOT NULL,
    visto_em           timestamptz NOT NULL,
    -- When the password was last entered; confirming money asks for a recent one.
    reautenticada_em   timestamptz NOT NULL,
    expira_em          timestamptz NOT NULL
);
CREATE INDEX sessoes_pessoa ON sessoes (pessoa_id, id);
CREATE INDEX sessoes_expira ON sessoes (expira_em);

GRANT SELECT, INSERT, UPDATE ON pessoas TO app;
GRANT SELECT, INSERT, DELETE ON cadastros TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tokens_unicos, sessoes TO app;
