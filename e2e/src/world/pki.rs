//! Makes the keys and certificates of one world. Nothing outside it trusts them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

/// The names by which clients in a cluster reach its API servers.
const SERVER_NAMES: [&str; 5] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
];

/// A certificate authority, and the directory that holds what it issued.
pub(super) struct Pki {
    directory: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// Makes the authority and the key that signs ServiceAccount tokens.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "weir-world");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(directory.join("ca.crt"), authority.pem())?;
        let accounts = KeyPair::generate()?;
        fs::write(directory.join("sa.key"), accounts.serialize_pem())?;
        fs::write(directory.join("sa.pub"), accounts.public_key_pem())?;
        Ok(Self {
            directory: directory.to_owned(),
            authority,
        })
    }

    /// The path of one of the files.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes `apiserver.crt` and `apiserver.key`, good for every API server of the world: Weir
    /// reaches each by its address and checks the name that all share.
    pub(super) fn issue_server(&self, addresses: &[Ipv4Addr]) -> Result<()> {
        let mut params = CertificateParams::new(SERVER_NAMES.map(str::to_owned))?;
        let addresses = addresses
            .iter()
            .map(|address| SanType::IpAddress(IpAddr::V4(*address)));
        params.subject_alt_names.extend(addresses);
        params
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = self.issue(&params)?;
        fs::write(self.file("apiserver.crt"), certificate)?;
        fs::write(self.file("apiserver.key"), key)?;
        Ok(())
    }

    /// A client certificate and its key, as PEM.
    pub(super) fn issue_client(&self, user: &str, group: Option<&str>) -> Result<(String, String)> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}
