-- A table that is analysed while it is empty is planned as if it stayed so: every index looks as good as any other, and a statement that
-- finds one row by its key walks through all of them once there are some. Tables without rows keep the planner's own guess.
CREATE OR REPLACE FUNCTION coletar_estatisticas() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    tabela name;
    tem_linhas boolean;
BEGIN
    FOR tabela IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relowner = current_user::text::regrole
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', tabela) INTO tem_linhas;
        IF tem_linhas THEN
            EXECUTE format('ANALYZE public.%I', tabela);
        END IF;
    END LOOP;
END
$$;

-- Whether a table that has rows has no statistics.
CREATE FUNCTION faltam_estatisticas() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    tabela name;
    tem_linhas boolean;
BEGIN
    FOR tabela IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND reltuples < 0 AND pg_relation_size(oid) > 0
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', tabela) INTO tem_linhas;
        IF tem_linhas THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
REVOKE ALL ON FUNCTION faltam_estatisticas() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION faltam_estatisticas() TO app;

INSERT INTO compatibilidade (versao, minima) VALUES (20261130000014, 20261124000007);
