//! Transactions that store so many rows that the plans made at their beginning no longer fit at their end: demo data, imports.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::StoreError;
use super::consistency::collect_statistics;

/// Stored rows of a table at which plans are made for the first time. Below it, a plan that reads the whole table still takes
/// little time.
const FIRST_ANALYZED_ROWS: u64 = 500;
/// Factor by which the stored rows of a table grow before plans are made again.
const GROWTH_FACTOR: u64 = 4;

/// Has PostgreSQL make new plans while one transaction fills tables. A transaction that stores more than some hundreds of rows
/// reports each batch here. It begins with small batches: a batch that at most doubles what the transaction has stored before is
/// safe.
///
/// `PostgreSQL` plans the queries of foreign keys and triggers at their first use in a session, for the tables as they are at that
/// time, and keeps the plans. Where a table was analysed while it was empty (`relpages` 1, `reltuples` 0: what a rolled-back
/// self-test and the next round of autovacuum leave), every plan for it costs the same, and what is chosen is whichever index comes
/// first: the check that a donation exists, `WHERE id = $1`, goes through `doacoes_da_campanha`, whose first column is another.
/// Kept, that plan walks through the whole index for each row that is stored, and the time grows with the square of the rows.
/// Nothing from outside ends that, since autovacuum does not see the rows before COMMIT.
///
/// ANALYZE inside the transaction ends it: it counts the transaction's own rows, and a changed count makes the session plan again
/// whatever reads the table. This also replaces plans that an earlier transaction left on the connection, which a pooler may have
/// lent to others before. The alternatives do less: `enable_seqscan = off` does not choose between indexes that cost the same, and
/// DISCARD PLANS makes the same plans again; commits in between leave a part of the rows behind when the process is stopped.
///
/// The price: until the transaction ends, nobody else can collect statistics of the tables or vacuum them. Requests do not wait for
/// it.
#[derive(Debug, Default)]
pub struct Growth {
    tables: HashMap<&'static str, TableGrowth>,
}

#[derive(Debug, Default)]
struct TableGrowth {
    /// Rows that this transaction has stored.
    rows: u64,
    /// The value of `rows` when plans were last made.
    planned: u64,
}

impl TableGrowth {
    fn is_outgrown(&self) -> bool {
        self.rows >= FIRST_ANALYZED_ROWS.max(self.planned.saturating_mul(GROWTH_FACTOR))
    }
}

impl Growth {
    /// Begins to count in a transaction that has stored nothing yet, and lifts the time limit of its statements until it ends.
    pub async fn begin(db: &mut PgConnection) -> Result<Self, StoreError> {
        sqlx::query("SET LOCAL statement_timeout = 0").execute(db).await?;
        Ok(Self::default())
    }

    /// Counts a batch, given as table names with numbers of rows, and has plans made again if a table has outgrown them.
    pub async fn stored(&mut self, db: &mut PgConnection, batch: &[(&'static str, u64)]) -> Result<(), StoreError> {
        if self.outgrow(batch) {
            collect_statistics(db).await?;
        }
        Ok(())
    }

    fn outgrow(&mut self, batch: &[(&'static str, u64)]) -> bool {
        for (table, rows) in batch {
            self.tables.entry(table).or_default().rows += rows;
        }
        let outgrown = self.tables.values().any(TableGrowth::is_outgrown);
        if outgrown {
            // Statistics are collected of all tables at once.
            for table in self.tables.values_mut() {
                table.planned = table.rows;
            }
        }
        outgrown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_made_again_when_any_table_is_four_times_what_they_were_made_for() {
        let mut growth = Growth::default();
        let replanned: Vec<bool> = [("a", 499), ("b", 499), ("a", 1), ("a", 1_499), ("b", 1_497), ("a", 1), ("b", 500), ("c", 500)]
            .into_iter()
            .map(|batch| growth.outgrow(&[batch]))
            .collect();
        assert_eq!(replanned, [false, false, true, false, true, false, false, true]);
    }

    #[test]
    fn a_million_rows_in_doubling_batches_are_planned_for_a_dozen_times_at_most() {
        let (mut growth, mut rows, mut replanned) = (Growth::default(), 100, 0);
        while rows < 1_000_000 {
            replanned += u32::from(growth.outgrow(&[("a", rows), ("b", rows * 3)]));
            rows += rows;
        }
        assert!((5..=12).contains(&replanned), "{replanned}");
    }
}
