use super::rule::{Rule, rules};

rules! {
    /// Admission: what stands between uploaded bytes and a store.
    ADM;

    /// Every fact is read from the bytes. Nothing is taken from the uploader's word.
    ///
    /// A bare KeyPackage is taken, and so is a KeyPackage wrapped in an `MLSMessage` (RFC 9420 §6). The bare KeyPackage
    /// is what is returned, stored and handed out. The ref is the hash of the bare KeyPackage (RFC 9420 §5.2).
    ///
    /// The fingerprint of the init key ([SAVE-9](super::SAVE_9)) and the support ([RES-3](super::RES_3)) are read from the bytes
    /// too.
    ADM_1 = "ADM-1", "bytes in, facts out";

    /// An upload is refused, with a [`Refusal`](crate::protocol::Refusal) for each reason:
    ///
    /// - malformed, or with trailing bytes
    /// - of another version of MLS
    /// - an unsupported ciphersuite
    /// - expired
    /// - not yet valid, beyond the skew allowed
    /// - a lifetime wider than the maximum, or clamped: see [`AdmissionPolicy`](crate::server::AdmissionPolicy)
    /// - too large
    /// - a credential that is not the uploader's
    /// - a leaf, or extensions, that are not as RFC 9420 demands (§10.1 with §5.3, §7.2, §7.3, §10 and §13.4)
    /// - a public key that is not a key of the ciphersuite, or is there twice
    /// - a bad signature
    /// - a capability or an extension that this server requires, beyond RFC 9420
    /// - a reason that only this admission knows
    ///
    /// The directory judges two more:
    ///
    /// - one init key under two refs in a batch, by
    ///   [`Admitted::fingerprint`](crate::server::Admitted::fingerprint): the second is refused, as by
    ///   [SAVE-9](super::SAVE_9), before anything is saved
    /// - a package made before the restore point that an operator set
    ADM_2 = "ADM-2", "each refusal has its reason";

    /// Hostile bytes never panic, and cost a bounded time.
    ///
    /// The call is synchronous, and may take some hundred microseconds for signatures and keys. The directory makes the
    /// call off the async threads.
    ADM_3 = "ADM-3", "hostile bytes cost a bounded time";
}
