-- Who owned an organizadora lately, so that an owner who is removed hears of what happens next, and a new owner cannot remove the
-- older ones or change the PIX key before anybody can object.
ALTER TABLE organizadora_membros ADD COLUMN dona_desde timestamptz;
UPDATE organizadora_membros SET dona_desde = criado_em WHERE papel = 'dona';

-- The previous release does not set the column.
CREATE FUNCTION marcar_dona() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    NEW.dona_desde := CASE WHEN NEW.papel = 'dona' THEN coalesce(NEW.dona_desde, now()) END;
    RETURN NEW;
END
$$;
CREATE TRIGGER membros_dona_desde BEFORE INSERT OR UPDATE ON organizadora_membros
    FOR EACH ROW WHEN ((NEW.papel = 'dona') <> (NEW.dona_desde IS NOT NULL)) EXECUTE FUNCTION marcar_dona();
ALTER TABLE organizadora_membros ADD CONSTRAINT membros_dona_desde CHECK ((papel = 'dona') = (dona_desde IS NOT NULL));

CREATE TABLE donas_anteriores (
    organizadora_id  uuid NOT NULL REFERENCES organizadoras (id),
    pessoa_id        uuid NOT NULL REFERENCES pessoas (id),
    ate              timestamptz NOT NULL,
    CONSTRAINT donas_anteriores_pk PRIMARY KEY (organizadora_id, pessoa_id)
);
CREATE INDEX donas_anteriores_ate ON donas_anteriores (ate);
GRANT SELECT, INSERT, UPDATE, DELETE ON donas_anteriores TO app;

INSERT INTO compatibilidade (versao, minima) VALUES (20261130000013, 20261124000007);
