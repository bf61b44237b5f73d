-- A database that was just restored or filled in bulk has no statistics until autovacuum comes by, and the planner then reads whole
-- tables for each page of the books. Only a table's owner may collect them; this lets the application ask for it.
CREATE FUNCTION coletar_estatisticas() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    EXECUTE (
        SELECT 'ANALYZE ' || string_agg(format('public.%I', relname), ', ') FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relowner = current_user::text::regrole
    );
END
$$;
REVOKE ALL ON FUNCTION coletar_estatisticas() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION coletar_estatisticas() TO app;

INSERT INTO compatibilidade (versao, minima) VALUES (20261128000001, 20261124000007);
