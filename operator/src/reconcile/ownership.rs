//! Decides whom an object belongs to. An object that belongs to somebody else is never written.

use kube::Resource;
use kube::core::ObjectMeta;

use crate::crd::DonationPlatform;
use crate::names;

/// Whom an object belongs to, as one platform sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// The object belongs to this platform.
    Ours,
    /// The object belongs to this platform and is being removed.
    Terminating,
    /// The object belongs to a deleted platform of the same name; the garbage collector is about to remove it.
    Predecessor,
    /// The object belongs neither to this platform nor to a predecessor; it is left alone.
    Foreign,
}

/// The platform that asks.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

impl Identity<'_> {
    /// Whom the object belongs to, by the UID of its controller.
    pub fn ownership(&self, metadata: &ObjectMeta) -> Ownership {
        let ours = metadata.owner_references.iter().flatten().any(|owner| owner.controller == Some(true) && owner.uid == self.uid);
        self.judge(metadata, ours)
    }

    /// Whom retained data belongs to. It has no controller, so its labels decide.
    pub fn ownership_of_data(&self, metadata: &ObjectMeta) -> Ownership {
        self.judge(metadata, names::belongs_to(metadata.labels.as_ref(), self.name))
    }

    fn judge(&self, metadata: &ObjectMeta, ours: bool) -> Ownership {
        let predecessor = metadata.owner_references.iter().flatten().any(|owner| {
            owner.kind == DonationPlatform::kind(&())
                && owner.api_version.split('/').next() == Some(&*DonationPlatform::group(&()))
                && owner.name == self.name
                && owner.uid != self.uid
        });
        match (predecessor, ours, metadata.deletion_timestamp.is_some()) {
            (true, _, _) => Ownership::Predecessor,
            (false, true, true) => Ownership::Terminating,
            (false, true, false) => Ownership::Ours,
            (false, false, _) => Ownership::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

    use super::*;

    const ME: Identity<'_> = Identity { name: "esperanca", uid: "new" };

    fn owned_by(kind: &str, uid: &str) -> ObjectMeta {
        let owner = OwnerReference {
            api_version: "doacoes.dev/v1alpha1".into(),
            kind: kind.into(),
            name: "esperanca".into(),
            uid: uid.into(),
            controller: Some(true),
            block_owner_deletion: None,
        };
        ObjectMeta { owner_references: Some(vec![owner]), ..ObjectMeta::default() }
    }

    fn labelled(instance: &str) -> ObjectMeta {
        let labels = BTreeMap::from([
            (names::MANAGED_BY_LABEL.to_owned(), names::MANAGED_BY.to_owned()),
            (names::INSTANCE_LABEL.to_owned(), instance.to_owned()),
        ]);
        ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }
    }

    #[test]
    fn labels_alone_make_nothing_ours_but_data() {
        assert_eq!(ME.ownership(&labelled("esperanca")), Ownership::Foreign);
        assert_eq!(ME.ownership_of_data(&labelled("esperanca")), Ownership::Ours);
        assert_eq!(ME.ownership_of_data(&labelled("outra")), Ownership::Foreign);
        assert_eq!(ME.ownership_of_data(&ObjectMeta::default()), Ownership::Foreign);
    }

    #[test]
    fn the_uid_tells_a_platform_from_its_predecessor() {
        assert_eq!(ME.ownership(&owned_by("DonationPlatform", "new")), Ownership::Ours);
        assert_eq!(ME.ownership(&owned_by("DonationPlatform", "old")), Ownership::Predecessor);
        assert_eq!(ME.ownership(&owned_by("Deployment", "old")), Ownership::Foreign);
        let mut data = labelled("esperanca");
        data.owner_references = owned_by("DonationPlatform", "old").owner_references;
        assert_eq!(ME.ownership_of_data(&data), Ownership::Predecessor);
    }
}
