-- Campaigns are ranked by the money that is left and that somebody besides the organizadora vouches for: what was received, less what
-- went back, less what is only declared. For that, declarado_centavos counts what is left of declared donations: a refund of one is
-- taken off it, as it is from what is left. The trigger does so for the previous release as well, while both run.
CREATE FUNCTION descontar_declarado_devolvido() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM doacoes WHERE id = NEW.doacao_id AND evidencia = 'declarada') THEN
        NEW.declarado_centavos := NEW.declarado_centavos - NEW.devolvido_centavos;
    END IF;
    RETURN NEW;
END
$$;
-- It locks the table against refunds, so that each is either seen by the statement below or by the trigger.
CREATE TRIGGER totais_delta_declarado BEFORE INSERT ON totais_delta
    FOR EACH ROW WHEN (NEW.devolvido_centavos > 0) EXECUTE FUNCTION descontar_declarado_devolvido();

-- Refunds from before.
INSERT INTO totais_delta (campanha_id, doacao_id, evento_seq, declarado_centavos, criado_em)
SELECT campanha_id, id, 0, -devolvido_centavos, now() FROM doacoes WHERE evidencia = 'declarada' AND devolvido_centavos > 0;

ALTER TABLE campanha_totais ADD COLUMN comprovado_centavos bigint NOT NULL
    GENERATED ALWAYS AS (arrecadado_centavos - devolvido_centavos - declarado_centavos) STORED;
CREATE INDEX totais_mais_comprovado ON campanha_totais (comprovado_centavos DESC, campanha_id DESC);
DROP INDEX totais_mais_arrecadado;

INSERT INTO compatibilidade (versao, minima) VALUES (20261130000012, 20261124000007);
