//! The values that labels can have.

use crate::domain::text_enum::texts;

/// Defines an enum whose variants are the values of a label.
macro_rules! label {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        texts!($name { $($variant = $text),+ });
    };
}

label! {
    /// A request's method. Clients send what they like.
    pub enum Method {
        /// Reads.
        Get = "GET",
        /// Reads the headers alone.
        Head = "HEAD",
        /// Makes something.
        Post = "POST",
        /// Replaces something.
        Put = "PUT",
        /// Changes something.
        Patch = "PATCH",
        /// Ends something.
        Delete = "DELETE",
        /// Asks what another site's page may do.
        Options = "OPTIONS",
        /// Anything else.
        Other = "other",
    }
}

label! {
    /// A port of the process.
    pub enum Listener {
        /// The API's.
        Public = "public",
        /// That of probes and metrics.
        Admin = "admin",
    }
}

label! {
    /// What a connection to the database does.
    pub enum ConnectionState {
        /// It waits for work.
        Idle = "idle",
        /// It is a request's.
        InUse = "in_use",
    }
}

label! {
    /// How a run of a background task ended.
    pub enum BackgroundResult {
        /// It did its work.
        Done = "done",
        /// Another replica has the lock.
        Idle = "idle",
        /// It failed and comes again.
        Failed = "failed",
    }
}

label! {
    /// What can lag.
    pub enum Queue {
        /// `totais_delta`.
        Totals = "totals",
        /// E-mails in `caixa_saida`.
        Mail = "mail",
        /// Names of cached answers to drop in `caixa_saida`.
        Drops = "drops",
    }
}

label! {
    /// Whether an e-mail in the outbox is still tried.
    pub enum MailState {
        /// It is.
        Pending = "pending",
        /// It was given up and waits for a person.
        Parked = "parked",
    }
}

label! {
    /// How an attempt to deliver an e-mail ended.
    pub enum Delivery {
        /// It was taken.
        Sent = "sent",
        /// It was not, and is tried again.
        Failed = "failed",
        /// It was not, and is given up.
        Parked = "parked",
        /// Its code was no longer good, so it was not sent.
        Late = "late",
    }
}

label! {
    /// Where a bounded number of requests wait their turn, or have a place.
    pub enum WaitQueue {
        /// For a connection to the database.
        Database = "database",
        /// For a password to be hashed.
        Passwords = "passwords",
        /// For a code for a new password to be sent, after the answer.
        Resets = "resets",
        /// Streams of a campaign's total, which are all served at once.
        Streams = "streams",
        /// Of them, those of one address.
        StreamsOfAddress = "streams_address",
    }
}

label! {
    /// A store whose loss the process survives.
    pub enum Store {
        /// The database.
        Postgres = "postgres",
        /// What is only there to be fast.
        Redis = "redis",
    }
}

label! {
    /// Where it is counted how often something is done.
    pub enum LimitStore {
        /// In Redis, for all processes together.
        Redis = "redis",
        /// In this process.
        Local = "local",
    }
}

label! {
    /// How a command to Redis ended.
    pub enum RedisOutcome {
        /// It was answered.
        Ok = "ok",
        /// It was not, in time or at all.
        Failed = "failed",
        /// It was not sent: the breaker was open, or the request had waited enough.
        Refused = "refused",
    }
}

label! {
    /// Where an answer was looked for.
    pub enum CacheLayer {
        /// This process.
        Local = "local",
        /// Redis.
        Redis = "redis",
        /// The database.
        Postgres = "postgres",
    }
}

label! {
    /// What was found.
    pub enum CacheOutcome {
        /// The answer.
        Hit = "hit",
        /// Nothing.
        Miss = "miss",
        /// An old answer, served because neither store could be asked.
        Stale = "stale",
        /// The layer did not answer.
        Failed = "failed",
    }
}

label! {
    /// What became of an answer given to Redis.
    pub enum Fill {
        /// It is there.
        Stored = "stored",
        /// What it was made of has changed meanwhile.
        Outdated = "outdated",
        /// Redis did not answer.
        Failed = "failed",
    }
}
