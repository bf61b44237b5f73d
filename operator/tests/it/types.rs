//! What the types of the resource make of JSON.

use doacoes_operator::crd::{
    Api, Autoscaling, ClientIp, Database, DonationPlatform, DonationPlatformStatus, EdgeService, Image, ManagedDatabase, ManagedEdge,
    ManagedRedis, NetworkPolicy, Payments, Pods, Pooler, RateLimit, Storage,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What is read from `{}`, as JSON.
fn empty<T: DeserializeOwned + Serialize>() -> Value {
    serde_json::to_value(serde_json::from_str::<T>("{}").unwrap()).unwrap()
}

/// What `Default` makes, as JSON.
fn default<T: Default + Serialize>() -> Value {
    serde_json::to_value(T::default()).unwrap()
}

/// A parent that is left out and one that is written as `{}` mean the same.
#[test]
fn the_default_of_a_parent_is_what_is_read_from_an_empty_one() {
    for (read, made) in [
        (empty::<Api>(), default::<Api>()),
        (empty::<ClientIp>(), default::<ClientIp>()),
        (empty::<DonationPlatformStatus>(), default::<DonationPlatformStatus>()),
        (empty::<EdgeService>(), default::<EdgeService>()),
        (empty::<Image>(), default::<Image>()),
        (empty::<ManagedDatabase>(), default::<ManagedDatabase>()),
        (empty::<ManagedEdge>(), default::<ManagedEdge>()),
        (empty::<ManagedRedis>(), default::<ManagedRedis>()),
        (empty::<NetworkPolicy>(), default::<NetworkPolicy>()),
        (empty::<Payments>(), default::<Payments>()),
        (empty::<Pods>(), default::<Pods>()),
        (empty::<Pooler>(), default::<Pooler>()),
        (empty::<RateLimit>(), default::<RateLimit>()),
        (empty::<Storage>(), default::<Storage>()),
    ] {
        assert_eq!(read, made);
    }
    assert_eq!(empty::<Autoscaling>(), json!({"minReplicas": 4, "maxReplicas": 12}));
    // A union that is left out has a member, and one that is empty has none, which the API server refuses.
    assert_eq!(default::<Database>(), json!({"managed": empty::<ManagedDatabase>()}));
    assert_eq!(empty::<Database>(), json!({}));
}

#[test]
fn an_empty_status_is_written_as_nothing() {
    assert_eq!(default::<DonationPlatformStatus>(), json!({}));
}

#[test]
fn a_resource_without_a_host_is_not_read() {
    let resource = json!({
        "apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "metadata": {"name": "esperanca"}, "spec": {"ingress": {}},
    });
    let error = serde_json::from_value::<DonationPlatform>(resource).unwrap_err();
    assert!(error.to_string().contains("host"), "{error}");
}
