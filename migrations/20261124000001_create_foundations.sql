-- Two roles share a database: `dono` owns the schema and runs migrations, `app` serves requests with the least it needs.
-- Roles belong to the server, not to a database, so whoever provisions the server creates them.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN
        RAISE EXCEPTION 'the role "app" does not exist'
            USING HINT = 'Create it on the server first: CREATE ROLE app LOGIN PASSWORD ''...''; ALTER ROLE app SET statement_timeout = ''1s'';';
    END IF;
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO app;
-- `serve` refuses to start while a migration is pending.
GRANT SELECT ON _sqlx_migrations TO app;

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS unaccent;

-- unaccent() is only STABLE because its dictionary can be altered; naming the dictionary makes it fit for indexes.
CREATE FUNCTION sem_acento(texto text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN lower(public.unaccent('public.unaccent'::regdictionary, texto));

-- Both spellings are indexed, so "doação", "doacao" and "doações" meet in one word stem.
CREATE FUNCTION vetor_de_busca(texto text, peso "char") RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
    RETURN setweight(to_tsvector('pg_catalog.portuguese'::regconfig, texto)
                     || to_tsvector('pg_catalog.portuguese'::regconfig, sem_acento(texto)), peso);

CREATE FUNCTION recusar_mudanca() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END
$$;
