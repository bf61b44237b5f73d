//! `api rate-limits`: prints the rate limits that hold by default.

use super::CommandError;
use crate::limits::Rules;

/// Prints the default rate limits as JSON, in the form of the file that `RATE_LIMITS` names.
pub fn run() -> Result<(), CommandError> {
    println!("{}", serde_json::to_string_pretty(&Rules::default().by_name())?);
    Ok(())
}
