-- A table that is analysed while it is empty is planned as if it stayed so: every index looks as good as any other, and a statement that
-- finds one row by its key walks through all of them once there are some. Tables without rows keep the planner's own guess.

-- The application's tables that have rows: all of them, or only those without statistics. A table whose file is empty has none, and
-- is not looked into.
CREATE FUNCTION tabelas_com_linhas(sem_estatisticas boolean) RETURNS SETOF name
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    tabela name;
    tem_linhas boolean;
BEGIN
    FOR tabela IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relowner = current_user::text::regrole
          AND (reltuples < 0 OR NOT sem_estatisticas) AND pg_relation_size(oid) > 0
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', tabela) INTO tem_linhas;
        IF tem_linhas THEN
            RETURN NEXT tabela;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION tabelas_com_linhas(boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tabelas_com_linhas(boolean) TO app;

CREATE OR REPLACE FUNCTION coletar_estatisticas() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    com_linhas name;
BEGIN
    FOR com_linhas IN SELECT tabelas_com_linhas(false) LOOP
        EXECUTE format('ANALYZE public.%I', com_linhas);
    END LOOP;
END
$$;

INSERT INTO compatibilidade (versao, minima) VALUES (20261130000014, 20261124000007);
