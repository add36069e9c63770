//! A vendor's folder: its private keys, and what it publishes. Only the demo's vendor role
//! needs it; a server gets a device's folder.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    keys::AuthorityKey,
    product::Product,
    vendor::{SimulatedAmd, VendorDocuments, VendorKeys},
};
use crate::{
    directory::{
        Access, FORMAT, create, problem, read, read_toml, require_certificate_of, require_format, write, write_toml,
    },
    error::SimulationError,
};

const DESCRIPTION: &str = "vendor.toml";
const REVOCATION_LIST: &str = "crl.der";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    product: String,
}

impl SimulatedAmd {
    /// Writes the vendor to a folder, which is made where there is none: `vendor.toml`, the
    /// keys `ark-key.der`, `ask-key.der`, `asvk-key.der` (PKCS#8, mode 0600 on Unix), their
    /// certificates `ark.der`, `ask.der`, `asvk.der`, and `crl.der`.
    ///
    /// # Errors
    /// [`SimulationError::Io`], also where one of the files exists already.
    pub fn to_directory(&self, directory: &Path) -> Result<(), SimulationError> {
        create(directory)?;
        let VendorKeys { ark, ask, asvk } = &self.keys;
        for (name, key) in [("ark", ark), ("ask", ask), ("asvk", asvk)] {
            let file = format!("{name}-key.der");
            write(directory, &file, &key.to_pkcs8()?, Access::OwnerOnly)?;
        }
        let documents = &self.documents;
        for (file, content) in [
            ("ark.der", &documents.ark),
            ("ask.der", &documents.ask),
            ("asvk.der", &documents.asvk),
            (REVOCATION_LIST, &documents.crl),
        ] {
            write(directory, file, content, Access::Public)?;
        }
        let description = Description { format: FORMAT, product: self.product.name().to_owned() };
        write_toml(directory, DESCRIPTION, &description)
    }

    /// Reads a vendor that [`to_directory`](Self::to_directory) wrote. Its certificates are
    /// those of then, with their dates.
    ///
    /// # Errors
    /// [`SimulationError::Io`], [`SimulationError::Key`] or [`SimulationError::Directory`],
    /// the last also where a certificate is not for the key beside it.
    pub fn from_directory(directory: &Path) -> Result<Self, SimulationError> {
        let description: Description = read_toml(directory, DESCRIPTION)?;
        require_format(directory, DESCRIPTION, description.format)?;
        let product = Product::from_name(&description.product)
            .ok_or_else(|| problem(directory, DESCRIPTION, "names no known product"))?;
        let (ark, ark_certificate) = authority(directory, "ark", "the vendor's ARK")?;
        let (ask, ask_certificate) = authority(directory, "ask", "the vendor's ASK")?;
        let (asvk, asvk_certificate) = authority(directory, "asvk", "the vendor's ASVK")?;
        Ok(Self {
            product,
            keys: VendorKeys { ark, ask, asvk },
            documents: VendorDocuments {
                ark: ark_certificate,
                ask: ask_certificate,
                asvk: asvk_certificate,
                crl: read(directory, REVOCATION_LIST)?.to_vec(),
            },
        })
    }
}

/// A key and its certificate.
fn authority(directory: &Path, name: &str, what: &'static str) -> Result<(AuthorityKey, Vec<u8>), SimulationError> {
    let pkcs8 = read(directory, &format!("{name}-key.der"))?;
    let key = AuthorityKey::from_pkcs8(&pkcs8, what)?;
    let file = format!("{name}.der");
    let certificate = read(directory, &file)?.to_vec();
    require_certificate_of(directory, &file, &certificate, &key.public_key_info()?)?;
    Ok((key, certificate))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn written() -> (tempfile::TempDir, SimulatedAmd) {
        let folder = tempfile::tempdir().unwrap();
        let vendor = SimulatedAmd::published(Product::Genoa, NOW).unwrap();
        vendor.to_directory(folder.path()).unwrap();
        (folder, vendor)
    }

    #[test]
    fn a_vendor_survives_its_folder() {
        let (folder, vendor) = written();
        let read = SimulatedAmd::from_directory(folder.path()).unwrap();
        assert_eq!(read.product(), Product::Genoa);
        assert_eq!(read.root_certificate_der(), vendor.root_certificate_der());
        assert_eq!(read.certificate_chain(), vendor.certificate_chain());
        assert_eq!(read.crl(), vendor.crl());
    }

    #[cfg(unix)]
    #[test]
    fn private_keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, _) = written();
        for key in ["ark-key.der", "ask-key.der", "asvk-key.der"] {
            let mode = fs::metadata(folder.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }

    #[test]
    fn a_folder_is_never_overwritten() {
        let (folder, vendor) = written();
        assert!(matches!(vendor.to_directory(folder.path()), Err(SimulationError::Io { action: "written", .. })));
    }

    #[test]
    fn mixed_up_certificates_are_refused() {
        let (folder, _) = written();
        fs::copy(folder.path().join("ark.der"), folder.path().join("ask.der")).unwrap();
        assert!(matches!(
            SimulatedAmd::from_directory(folder.path()),
            Err(SimulationError::Directory { path, .. }) if path.ends_with("ask.der")
        ));
    }

    #[test]
    fn an_unknown_product_is_refused() {
        let (folder, _) = written();
        fs::write(folder.path().join(DESCRIPTION), "format = 1\nproduct = \"Rome\"").unwrap();
        assert!(matches!(SimulatedAmd::from_directory(folder.path()), Err(SimulationError::Directory { .. })));
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = SimulatedAmd::from_directory(folder.path()).err().unwrap();
        assert!(error.to_string().contains(DESCRIPTION), "{error}");
    }
}
