//! The script in Redis and the buckets in the process are one algorithm: at the same times they say the same.

use std::sync::Arc;
use std::time::Duration;

use doacoes_api::config::keys::Keys;
use doacoes_api::limits::{Bucket, LimitSubject, Local, Quota, RemoteBuckets, Rule};
use doacoes_api::redis_client::{RedisClient, RedisMetrics};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::harness::servers;

/// Whose uses there are, of each rule.
const SUBJECTS: [&str; 2] = ["ana", "bia"];
const RULES: [Rule; 2] = [Rule::DonationDevice, Rule::DonationIp];

#[derive(Clone, Debug)]
enum Step {
    Pause(Duration),
    /// By a subject, under one rule or both.
    Take(usize, Vec<usize>),
    GiveBack(usize, Vec<usize>),
    /// The processes start again with another file of limits.
    Change(usize, Quota),
}

fn quotas() -> impl Strategy<Value = Quota> {
    // Some earn within a pause, some never do within a test.
    let earning = (1_u32..2_000, 1_u32..3).prop_map(|(limit, period_seconds)| Quota { limit, period_seconds });
    let any = (1_u32..=1_000_000, 1_u32..=2_678_400).prop_map(|(limit, period_seconds)| Quota { limit, period_seconds });
    let few = (1_u32..4, 1_u32..=2_678_400).prop_map(|(limit, period_seconds)| Quota { limit, period_seconds });
    prop_oneof![4 => earning, 1 => any, 2 => few]
}

fn steps() -> impl Strategy<Value = Step> {
    let rules = || prop_oneof![Just(vec![0]), Just(vec![1]), Just(vec![0, 1])];
    prop_oneof![
        3 => (0_u64..6_000).prop_map(|micros| Step::Pause(Duration::from_micros(micros))),
        12 => (0..SUBJECTS.len(), rules()).prop_map(|(subject, rules)| Step::Take(subject, rules)),
        3 => (0..SUBJECTS.len(), rules()).prop_map(|(subject, rules)| Step::GiveBack(subject, rules)),
        1 => (0..RULES.len(), quotas()).prop_map(|(rule, quota)| Step::Change(rule, quota)),
    ]
}

#[test]
fn redis_and_the_process_judge_alike() {
    let servers = servers();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    Keys::create_missing(&servers.secrets()).unwrap();
    let hash = Keys::load(&servers.secrets()).unwrap().email.stable_hasher("limites");
    let plan = ([quotas(), quotas()], proptest::collection::vec(steps(), 1..120));
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let judged_alike = |(quotas, steps): ([Quota; 2], Vec<Step>)| {
        let prefix = format!("{}:", uuid::Uuid::new_v4());
        let metrics = RedisMetrics::new(&prometheus::Registry::new()).unwrap();
        let client = RedisClient::new(&servers.env("REDIS_URL").into(), &prefix, Duration::from_secs(30), metrics).unwrap();
        let (remote, local) = (RemoteBuckets::new(Arc::new(client)), Local::default());
        let mut quotas = quotas;
        for step in steps {
            let buckets = |quotas: &[Quota; 2], subject: usize, rules: &[usize]| -> Vec<Bucket> {
                let bucket = |rule: &usize| Bucket {
                    rule: RULES[*rule],
                    subject: LimitSubject::new(&hash, RULES[*rule], SUBJECTS[subject]),
                    quota: quotas[*rule],
                };
                rules.iter().map(bucket).collect()
            };
            let (there, here) = match step {
                Step::Pause(time) => {
                    std::thread::sleep(time);
                    continue;
                }
                Step::Change(rule, quota) => {
                    quotas[rule] = quota;
                    continue;
                }
                Step::Take(subject, rules) => {
                    let buckets = buckets(&quotas, subject, &rules);
                    let there = runtime.block_on(remote.take(&buckets)).unwrap();
                    let here = local.take_at(&buckets, there.at);
                    (there, here)
                }
                Step::GiveBack(subject, rules) => {
                    let buckets = buckets(&quotas, subject, &rules);
                    let there = runtime.block_on(remote.give_back(&buckets)).unwrap();
                    let here = local.give_back_at(&buckets, there.at);
                    (there, here)
                }
            };
            prop_assert_eq!(there.verdicts, here);
        }
        Ok(())
    };
    TestRunner::new(config).run(&plan, judged_alike).unwrap();
}
