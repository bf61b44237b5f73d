-- A table that is analysed while it is empty is planned as if it stayed so: every index looks as good as any other, and a statement that
-- finds one row by its key walks through all of them once there are some. Tables without rows keep the planner's own guess.

-- The application's tables that have rows, and how many the planner takes them to have: less than 0 without statistics.
CREATE FUNCTION tabelas_com_linhas() RETURNS TABLE (tabela name, estimativa real)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    tem_linhas boolean;
BEGIN
    FOR tabela, estimativa IN
        SELECT relname, reltuples FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relowner = current_user::text::regrole
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', tabela) INTO tem_linhas;
        IF tem_linhas THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION tabelas_com_linhas() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tabelas_com_linhas() TO app;

CREATE OR REPLACE FUNCTION coletar_estatisticas() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    com_linhas name;
BEGIN
    FOR com_linhas IN SELECT tabela FROM tabelas_com_linhas() LOOP
        EXECUTE format('ANALYZE public.%I', com_linhas);
    END LOOP;
END
$$;

INSERT INTO compatibilidade (versao, minima) VALUES (20261130000014, 20261124000007);
