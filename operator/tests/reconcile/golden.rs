//! Whether Kubernetes takes what the resources of `tests/golden` become, in a namespace that only restricted pods may enter.

#[path = "../it/cases.rs"]
mod cases;

use doacoes_operator::render::render;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::{ApiResource, Request, TypeMeta};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use self::cases::{Case, cases, files};
use crate::harness::{Result, World, world};

/// A namespace that refuses pods which are not restricted, and warns of workloads whose pods would be refused.
async fn restricted(name: &str) -> Result<World> {
    let world = world(name).await?;
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"});
    let labelled = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let manager = PatchParams::apply("golden").force();
    Api::<Namespace>::all(world.admin.clone()).patch(name, &manager, &Patch::Apply(labelled)).await?;
    // A pod of a class that is not there is refused.
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "donations"}, "value": 1000});
    Api::<PriorityClass>::all(world.admin.clone()).patch("donations", &manager, &Patch::Apply(class)).await?;
    Ok(world)
}

/// The objects of a case, in the namespace of the test.
fn objects(case: &Case, namespace: &str) -> Result<Vec<Value>> {
    let mut objects = render(&case.text)?;
    for object in &mut objects {
        object["metadata"]["namespace"] = json!(namespace);
    }
    Ok(objects)
}

/// Puts a certificate where one is generated: the API server warns of what is none.
fn certify(object: &mut Value) -> Result {
    if object["type"] == "kubernetes.io/tls" {
        let signed = rcgen::generate_simple_self_signed(vec!["doe.example.org".to_owned()])?;
        object["stringData"] = json!({"tls.crt": signed.cert.pem(), "tls.key": signed.signing_key.serialize_pem()});
    }
    Ok(())
}

/// What the API server says against a request that it answers with success or not: errors and warnings.
async fn verdict(world: &World, request: http::Request<Vec<u8>>) -> Result<Vec<String>> {
    let response = world.admin.send(request.map(Body::from)).await?;
    let warnings = response.headers().get_all("warning");
    let mut said: Vec<String> = warnings.iter().map(|warning| String::from_utf8_lossy(warning.as_bytes()).into_owned()).collect();
    if !response.status().is_success() {
        said.push(String::from_utf8_lossy(&response.into_body().collect_bytes().await?).into_owned());
    }
    Ok(said)
}

async fn apply(world: &World, resource: &ApiResource, object: &Value) -> Result<Vec<String>> {
    let name = object["metadata"]["name"].as_str().ok_or("it has no name")?;
    let request = Request::new(DynamicObject::url_path(resource, Some(&world.namespace)));
    let parameters = PatchParams::apply("golden").force().dry_run().validation_strict();
    verdict(world, request.patch(name, &parameters, &Patch::Apply(object))?).await
}

/// A pod as its controller would make it.
fn pod(object: &Value) -> Option<Value> {
    let mut template = object.pointer("/spec/template")?.clone();
    let claims = object.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array).into_iter().flatten();
    for claim in claims {
        let name = &claim["metadata"]["name"];
        let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
        template.pointer_mut("/spec/volumes")?.as_array_mut()?.push(volume);
    }
    template["metadata"]["name"] = object["metadata"]["name"].clone();
    Some(json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]}))
}

#[tokio::test]
async fn every_rendered_object_is_accepted_without_a_warning() -> Result {
    let world = restricted("golden-objects").await?;
    let mut kinds = doacoes_operator::kinds::rendered();
    kinds.push(doacoes_operator::kinds::secret());
    let mut failed = Vec::new();
    for case in cases() {
        for mut object in objects(&case, &world.namespace)? {
            certify(&mut object)?;
            let types: TypeMeta = serde_json::from_value(object.clone())?;
            let resource = kinds.iter().find(|resource| resource.kind == types.kind && resource.api_version == types.api_version);
            let resource = resource.ok_or_else(|| format!("{} is not among what the operator keeps", types.kind))?;
            for said in apply(&world, resource, &object).await? {
                failed.push(format!("{}: {} {}: {said}", case.name, types.kind, object["metadata"]["name"]));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

#[tokio::test]
async fn every_rendered_pod_enters_a_restricted_namespace() -> Result {
    let world = restricted("golden-pods").await?;
    let pods: Api<Pod> = Api::namespaced(world.admin.clone(), &world.namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let (mut failed, mut seen) = (Vec::new(), 0);
    for case in cases() {
        for pod in objects(&case, &world.namespace)?.iter().filter_map(pod) {
            seen += 1;
            let request = Request::new(Pod::url_path(&(), Some(&world.namespace))).create(&dry_run, serde_json::to_vec(&pod)?)?;
            for said in verdict(&world, request).await? {
                failed.push(format!("{}: {}: {said}", case.name, pod["metadata"]["name"]));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(seen > 50, "{seen}");
    // The namespace does refuse a pod that is not restricted.
    let open = json!({"metadata": {"name": "open"}, "spec": {"containers": [{"name": "open", "image": "open:1"}]}});
    let refused = pods.create(&dry_run, &serde_json::from_value(open)?).await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.is_forbidden()));
    Ok(())
}

#[tokio::test]
async fn every_resource_is_accepted_and_means_what_is_rendered_from_its_file() -> Result {
    let world = world("golden-resources").await?;
    let resource = ApiResource::erase::<doacoes_operator::crd::DonationPlatform>(&());
    let platforms: Api<DynamicObject> = Api::namespaced_with(world.admin.clone(), &world.namespace, &resource);
    assert!(files("manifests/samples").len() > 1);
    for case in cases() {
        let mut written: DynamicObject = serde_json::from_value(serde_yaml::from_str(&case.text)?)?;
        written.metadata.namespace = Some(world.namespace.clone());
        let name = written.name_any();
        let strict = PatchParams::apply("golden").force().dry_run().validation_strict();
        let accepted = platforms.patch(&name, &strict, &Patch::Apply(&written)).await;
        let mut accepted = accepted.map_err(|error| format!("{}: {error}", case.name))?;
        // Defaults of the API server and defaults of the types lead to the same objects.
        accepted.metadata.uid = None;
        let stored = render(&serde_json::to_string(&accepted)?)?;
        assert!(stored == objects(&case, &world.namespace)?, "{}", case.file.display());
    }
    Ok(())
}
