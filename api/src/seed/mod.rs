//! Demonstration data: an invented platform with people, organisations, campaigns and donations, the same on every run but
//! for the salt of the password.
//!
//! Rows are made here and stored table by table in one transaction with every trigger and constraint on, so a seed that
//! fails leaves nothing behind. It ends with the checks that the books are held to.

mod donations;
mod progress;
mod random;
mod records;
mod rows;
mod words;
mod world;

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use self::donations::Donations;
use self::progress::Progress;
use self::random::Random;
use crate::config::keys::Keys;
use crate::password::{Passwords, PasswordsError};
use crate::store::StoreError;
use crate::store::bulk::Growth;
use crate::store::consistency::{self, Finding, Size};

/// The password of every person of the demonstration, `pessoa1@exemplo.org.br` and those that follow.
pub const PASSWORD: &str = "demonstracao";

/// Donations that are held in memory at once.
const BATCH_DONATIONS: u32 = 5_000;
/// Donations of the first batch. Each further batch at most doubles what is stored, see [`Growth`].
const FIRST_BATCH_DONATIONS: u32 = 100;

/// How much to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Organisations; the first people own one each.
    pub organizadoras: u32,
    /// Campaigns.
    pub campanhas: u32,
    /// People.
    pub pessoas: u32,
    /// Donations.
    pub doacoes: u32,
}

impl Default for Scale {
    fn default() -> Self {
        Self { organizadoras: 20, campanhas: 1_000, pessoas: 10_000, doacoes: 200_000 }
    }
}

impl Scale {
    /// As much of everything, `times` over.
    #[must_use]
    pub const fn times(self, times: u32) -> Self {
        Self {
            organizadoras: self.organizadoras.saturating_mul(times),
            campanhas: self.campanhas.saturating_mul(times),
            pessoas: self.pessoas.saturating_mul(times),
            doacoes: self.doacoes.saturating_mul(times),
        }
    }
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// How much.
    pub scale: Scale,
    /// Movements of money in the ledger.
    pub lancamentos: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Scale { organizadoras, campanhas, pessoas, doacoes } = self.scale;
        write!(
            f,
            "{organizadoras} organizadoras, {campanhas} campanhas, {pessoas} pessoas, {doacoes} doacoes and {} lancamentos in {:.1} s",
            self.lancamentos,
            self.elapsed.as_secs_f32(),
        )
    }
}

/// Why nothing was seeded.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// There are organisations already.
    #[error("the database holds organizadoras already; seed an empty one, or use --if-empty to leave this one as it is")]
    NotEmpty,
    /// Donations need a campaign, a campaign an organisation, and that an owner.
    #[error("at least one organizadora, one campanha and one pessoa are needed")]
    Scale,
    /// A value that the domain refuses; a fault of the seed.
    #[error("the seed made an illegal {0}")]
    Illegal(&'static str),
    /// The books do not agree; a fault of the seed.
    #[error("the seeded books do not agree: {0:?}")]
    Inconsistent(Vec<Finding>),
    /// The password could not be hashed.
    #[error("the password could not be hashed")]
    Password(#[from] PasswordsError),
    /// A statement failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A value that the domain has checked; `what` names it should it be refused.
fn legal<T, E>(what: &'static str, checked: Result<T, E>) -> Result<T, SeedError> {
    checked.map_err(|_| SeedError::Illegal(what))
}

/// Whether there is no organisation yet.
pub async fn is_empty(db: &PgPool) -> Result<bool, StoreError> {
    let mut connection = db.acquire().await?;
    nothing_there(&mut connection).await
}

async fn nothing_there(db: &mut PgConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM organizadoras)").fetch_one(db).await?)
}

/// Seeds an empty database and says what was made. `progress` is told about each step.
pub async fn run(
    db: &PgPool,
    keys: &Keys,
    passwords: &Passwords,
    scale: Scale,
    mut progress: impl FnMut(&str) + Send,
) -> Result<Report, SeedError> {
    let start = Instant::now();
    if scale.organizadoras == 0 || scale.campanhas == 0 || scale.pessoas == 0 {
        return Err(SeedError::Scale);
    }
    let hash = passwords.hash(PASSWORD.into()).await?;
    let mut tx = db.begin().await.map_err(StoreError::from)?;
    alone(&mut tx).await?;
    if !nothing_there(&mut tx).await? {
        return Err(SeedError::NotEmpty);
    }
    let mut growth = Growth::begin(&mut tx).await?;
    let mut random = Random::new(1);
    let people = world::people(&mut tx, &mut random, scale.pessoas, &hash).await?;
    growth.stored(&mut tx, &[("pessoas", scale.pessoas.into())]).await?;
    let organisations = world::organisations(&mut tx, &mut random, scale.organizadoras, &people).await?;
    growth.stored(&mut tx, &[("organizadoras", scale.organizadoras.into())]).await?;
    let campaigns = world::campaigns(&mut tx, &mut random, scale.campanhas, &organisations).await?;
    growth.stored(&mut tx, &[("campanhas", scale.campanhas.into())]).await?;
    progress(&format!("{} organizadoras, {} campanhas, {} pessoas", scale.organizadoras, scale.campanhas, scale.pessoas));
    let mut donations = Donations::new(random, &people, &campaigns, scale.doacoes);
    let (mut movements, mut told) = (0, Progress::new(scale.doacoes));
    while let Some(batch) = donations.batch(BATCH_DONATIONS.min(donations.made().max(FIRST_BATCH_DONATIONS)), &keys.email)? {
        let stored = batch.store(&mut tx).await?;
        movements += stored.movements();
        growth.stored(&mut tx, &stored.tables).await?;
        if let Some(line) = told.line(donations.made()) {
            progress(&line);
        }
    }
    add_up(&mut tx).await?;
    progress("totals");
    // Before every movement is looked at once more: without statistics each look is planned for a fraction of the whole table.
    consistency::collect_statistics(&mut tx).await?;
    // The ledger's balance is due at COMMIT; asked for here, its failure is not taken for a lost connection's.
    sqlx::query("SET CONSTRAINTS ALL IMMEDIATE").execute(&mut *tx).await.map_err(StoreError::from)?;
    progress("every lancamento balances");
    let findings = consistency::check_all(&mut tx, Size::default()).await?;
    if !findings.is_empty() {
        return Err(SeedError::Inconsistent(findings));
    }
    progress("the books agree");
    tx.commit().await.map_err(StoreError::from)?;
    Ok(Report { scale, lancamentos: movements, elapsed: start.elapsed() })
}

/// Waits until no other seed runs, however long that takes, and keeps others out until the transaction ends.
async fn alone(db: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *db).await?;
    sqlx::query("LOCK TABLE organizadoras IN SHARE ROW EXCLUSIVE MODE").execute(db).await?;
    Ok(())
}

/// Stores the totals that the roll-up would compute. Going through deltas would leave a dead row for every donation.
async fn add_up(db: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO campanha_doadores (campanha_id, doador_chave)
         SELECT DISTINCT campanha_id, doador_chave FROM doacoes WHERE confirmada_em IS NOT NULL ORDER BY campanha_id, doador_chave",
    )
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO campanha_totais (campanha_id, arrecadado_centavos, declarado_centavos, devolvido_centavos, doacoes_qtd, doadores_qtd, seq,
                                      atualizado_em)
         SELECT c.id, coalesce(sum(d.recebido_centavos), 0), coalesce(sum(d.recebido_centavos - d.devolvido_centavos) FILTER (WHERE d.evidencia = 'declarada'), 0),
                coalesce(sum(d.devolvido_centavos), 0), count(d.id), count(DISTINCT d.doador_chave), least(count(d.id), 1),
                greatest(c.criada_em, max(d.atualizada_em))
         FROM campanhas c LEFT JOIN doacoes d ON d.campanha_id = c.id AND d.confirmada_em IS NOT NULL
         GROUP BY c.id ORDER BY c.id",
    )
    .execute(db)
    .await?;
    Ok(())
}
