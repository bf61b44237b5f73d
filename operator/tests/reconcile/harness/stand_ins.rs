//! What controllers, kubelets and clouds do, for worlds that have none.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::names::DATABASE;
use super::{Result, World};

impl World {
    /// Gives an address to each new Service that asks for a load balancer, as a cloud does.
    pub(crate) async fn balance(&self) -> Result {
        for service in self.list("Service").await? {
            let is_new = service.data.pointer("/status/loadBalancer/ingress").is_none();
            if is_new && service.data.pointer("/spec/type") == Some(&json!("LoadBalancer")) {
                let address = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
                self.merge_status("Service", &service.name_any(), address).await?;
            }
        }
        Ok(())
    }

    /// Reports that all pods of a workload run.
    pub(crate) async fn run_pods(&self, kind: &str, name: &str) -> Result {
        self.report_pods(kind, &self.get(kind, name).await?).await
    }

    /// Does the same for every workload whose pods do not run yet, and gives addresses to Services.
    pub(crate) async fn run_all_pods(&self) -> Result {
        self.balance().await?;
        for kind in ["StatefulSet", "Deployment"] {
            for live in self.list(kind).await? {
                if live.data.pointer("/status/observedGeneration").and_then(Value::as_i64) != live.metadata.generation {
                    self.report_pods(kind, &live).await?;
                }
            }
        }
        Ok(())
    }

    async fn report_pods(&self, kind: &str, live: &DynamicObject) -> Result {
        let replicas = live.data.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
        let status = json!({
            "observedGeneration": live.metadata.generation, "replicas": replicas, "updatedReplicas": replicas,
            "readyReplicas": replicas, "availableReplicas": replicas,
        });
        self.merge_status(kind, &live.name_any(), status).await
    }

    /// Ends a Job with `condition`, which is Complete or Failed, after a pod of it that left `message`.
    pub(crate) async fn finish_job(&self, job: &str, condition: &str, message: &str) -> Result {
        let live = self.get("Job", job).await?;
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("{job}-{}", condition.to_lowercase()),
                "labels": live.data.pointer("/spec/template/metadata/labels"),
                "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": live.uid(), "controller": true}],
            },
            "spec": {"containers": [{"name": "migrate", "image": "doacoes"}]},
        });
        let pod = self.add("Pod", pod).await?.name_any();
        let code = i32::from(condition != "Complete");
        let terminated = json!({"exitCode": code, "message": message, "startedAt": null, "finishedAt": null});
        let containers = json!([{
            "name": "migrate", "image": "doacoes", "imageID": "", "ready": false, "restartCount": 0, "state": {"terminated": terminated},
        }]);
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        self.merge_status("Pod", &pod, json!({"phase": phase, "containerStatuses": containers})).await?;
        let now = Timestamp::now().to_string();
        let entry =
            |type_: &str| json!({"type": type_, "status": "True", "lastTransitionTime": now, "lastProbeTime": now, "reason": "Tests"});
        let mut last = entry(condition);
        last["message"] = json!("tests");
        let first = entry(if code == 0 { "SuccessCriteriaMet" } else { "FailureTarget" });
        let mut status = json!({"conditions": [first, last], "startTime": now});
        if code == 0 {
            status["completionTime"] = json!(now);
        }
        self.merge_status("Job", job, status).await
    }

    /// Makes the database's claim for a volume from its template, with another `size` if one is given.
    pub(crate) async fn claim_volume(&self, size: Option<&str>) -> Result {
        let template = self.get("StatefulSet", DATABASE).await?;
        let labels = template.data.pointer("/spec/volumeClaimTemplates/0/metadata/labels").cloned();
        let mut spec = template.data.pointer("/spec/volumeClaimTemplates/0/spec").cloned().ok_or("no template of a claim")?;
        if let Some(size) = size {
            spec["resources"]["requests"]["storage"] = json!(size);
        }
        let metadata = json!({"name": format!("data-{DATABASE}-0"), "labels": labels});
        let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec});
        self.add("PersistentVolumeClaim", claim).await?;
        Ok(())
    }
}
