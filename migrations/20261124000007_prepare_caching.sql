-- What the caches need to be told, and the totals that moved a moment ago, which each fold publishes again.

ALTER TABLE caixa_saida DROP CONSTRAINT caixa_saida_tipo;
-- 'cache': names of cached answers to drop, in the clear: they hold slugs, ids and hashes.
ALTER TABLE caixa_saida ADD CONSTRAINT caixa_saida_tipo CHECK (tipo IN ('email', 'cache'));

CREATE INDEX campanha_totais_atualizado ON campanha_totais (atualizado_em);

-- The books of a campaign are checked page by page.
DROP INDEX doacoes_da_campanha;
CREATE INDEX doacoes_da_campanha ON doacoes (campanha_id, id);
