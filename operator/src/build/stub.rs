//! A few children of each upkeep, until there is a file per kind.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::Resource;
use kube::api::DynamicObject;
use kube::core::{ApiResource, ObjectMeta, TypeMeta};
use serde_json::{Value, json};

use super::secrets::Generated;
use super::{Child, Gate, Inputs, Part, Scale, Upkeep};
use crate::crd::{DeletionPolicy, DonationPlatform};
use crate::names::{APPLICATION, COMPONENT_LABEL, INSTANCE_LABEL, MANAGED_BY, MANAGED_BY_LABEL, NAME_LABEL};
use crate::resolve::Platform;

/// Everything that the platform shall have, in the order of writing.
pub fn children(inputs: &Inputs<'_>) -> Vec<Child> {
    let platform = inputs.platform;
    let mut children: Vec<Child> = Generated::ALL
        .into_iter()
        .map(|secret| {
            let data: BTreeMap<String, String> = secret.data(|_| "generated".to_owned());
            let mut child = child::<Secret>(
                platform,
                &secret.name(platform),
                Part::Postgres,
                Upkeep::CreateOnce,
                json!({"type": "Opaque", "stringData": data}),
            );
            child.object.metadata.owner_references = None;
            child
        })
        .collect();
    let name = &platform.name;
    let retain = match platform.spec.deletion_policy {
        DeletionPolicy::Retain => "Retain",
        DeletionPolicy::Delete => "Delete",
    };
    children.push(child::<ConfigMap>(
        platform,
        &format!("{name}-api"),
        Part::Api,
        Upkeep::Apply,
        json!({"data": {"host": platform.spec.ingress.host}}),
    ));
    children.push(child::<Service>(
        platform,
        &format!("{name}-api"),
        Part::Api,
        Upkeep::Apply,
        json!({"spec": {"selector": selector(platform, "api"), "ports": [{"name": "http", "port": 8080, "targetPort": "http"}]}}),
    ));
    let database = format!("{name}-postgresql");
    let mut stateful = child::<StatefulSet>(
        platform,
        &database,
        Part::Postgres,
        Upkeep::Apply,
        json!({"spec": {
            "serviceName": database,
            "selector": {"matchLabels": selector(platform, "postgresql")},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": retain, "whenScaled": "Retain"},
            "template": pod(platform, "postgresql", "postgres:17.6"),
            "volumeClaimTemplates": [{
                "metadata": {"name": "data", "labels": labels(platform, "postgresql")},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}},
            }],
        }}),
    );
    stateful.scale = Some(Scale::Fixed(1));
    children.push(stateful);
    let image = format!("{}:{}", platform.spec.image.repository, platform.spec.image.tag);
    let migrate = crate::reconcile::current::fingerprint(&json!(image));
    let mut template = pod(platform, "migrate", &image);
    if let Some(Value::Object(spec)) = template.get_mut("spec") {
        spec.insert("restartPolicy".to_owned(), json!("Never"));
    }
    children.push(child::<Job>(
        platform,
        &format!("{name}-migrate-{migrate}"),
        Part::Migrate,
        Upkeep::Job,
        json!({"spec": {"backoffLimit": 2, "activeDeadlineSeconds": 600, "template": template}}),
    ));
    let mut template = pod(platform, "api", &image);
    if let Some(Value::Object(metadata)) = template.get_mut("metadata") {
        metadata.insert("annotations".to_owned(), json!({"doacoes.dev/secrets": format!("{:?}", inputs.secret_versions)}));
    }
    let mut deployment = child::<Deployment>(
        platform,
        &format!("{name}-api"),
        Part::Api,
        Upkeep::Apply,
        json!({"spec": {"selector": {"matchLabels": selector(platform, "api")}, "template": template}}),
    );
    deployment.gate = Gate::Schema;
    deployment.scale = Some(match &platform.spec.api.autoscaling {
        Some(autoscaling) => Scale::Autoscaled(autoscaling.min_replicas),
        None => Scale::Fixed(platform.spec.api.replicas),
    });
    children.push(deployment);
    if let Some(autoscaling) = &platform.spec.api.autoscaling {
        let mut scaler = child::<HorizontalPodAutoscaler>(
            platform,
            &format!("{name}-api"),
            Part::Api,
            Upkeep::Apply,
            json!({"spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": format!("{name}-api")},
                "minReplicas": autoscaling.min_replicas,
                "maxReplicas": autoscaling.max_replicas,
            }}),
        );
        scaler.gate = Gate::Schema;
        children.push(scaler);
    }
    children
}

fn selector(platform: &Platform, component: &str) -> Value {
    json!({NAME_LABEL: APPLICATION, INSTANCE_LABEL: platform.name, COMPONENT_LABEL: component})
}

fn labels(platform: &Platform, component: &str) -> Value {
    json!({NAME_LABEL: APPLICATION, INSTANCE_LABEL: platform.name, COMPONENT_LABEL: component, MANAGED_BY_LABEL: MANAGED_BY})
}

fn pod(platform: &Platform, component: &str, image: &str) -> Value {
    json!({
        "metadata": {"labels": labels(platform, component)},
        "spec": {
            "containers": [{"name": component, "image": image, "env": [{"name": "PROFILE", "value": "production"}]}],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
}

fn child<K: Resource<DynamicType = ()>>(platform: &Platform, name: &str, part: Part, upkeep: Upkeep, data: Value) -> Child {
    let resource = ApiResource::erase::<K>(&());
    let labels = [(NAME_LABEL, APPLICATION), (INSTANCE_LABEL, &platform.name), (MANAGED_BY_LABEL, MANAGED_BY)];
    let owner = k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference {
        api_version: DonationPlatform::api_version(&()).into_owned(),
        kind: DonationPlatform::kind(&()).into_owned(),
        name: platform.name.clone(),
        uid: platform.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    Child {
        object: DynamicObject {
            types: Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() }),
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(platform.namespace.clone()),
                labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            data,
        },
        resource,
        part,
        gate: Gate::None,
        upkeep,
        scale: None,
    }
}
