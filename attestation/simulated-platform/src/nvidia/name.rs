//! Names of NVIDIA's certificates: its attributes in its orders, with an organisation that is
//! not NVIDIA and a common name that says so too.

use x509_cert::der::Error;

use crate::{
    certificate::{attribute, development_name},
    der::{Der, printable_string, sequence, utf8_string},
};

const CORPORATION: &str = "Simulated Graphics Corporation";
/// As the roots and everything around Blackwell's manifests call it.
const SHORT: &str = "Simulated Graphics";

/// Which attributes a name has, and in which order.
#[derive(Clone, Copy)]
pub(crate) enum NameForm {
    /// The root of devices.
    DeviceRoot,
    /// An identity authority.
    Identity,
    /// A provisioning authority, most of what is above a manifest, and whoever answers about
    /// revocation.
    CommonNameFirst,
    /// The root of manifests, and Blackwell's authorities below it.
    CountryFirst,
    /// The signer of a manifest.
    Signer,
}

/// The name of an authority.
pub(crate) fn name(form: NameForm, common_name: &str) -> Result<Der, Error> {
    let common_name = attribute("2.5.4.3", &utf8_string(&development_name(common_name))?)?;
    let organisation = |name: &str| attribute("2.5.4.10", &utf8_string(name)?);
    match form {
        NameForm::DeviceRoot => sequence(&[&common_name, &organisation(SHORT)?]),
        NameForm::Identity => sequence(&[&common_name, &organisation(CORPORATION)?]),
        NameForm::CommonNameFirst => sequence(&[&common_name, &organisation(CORPORATION)?, &country()?]),
        NameForm::CountryFirst => sequence(&[&country()?, &organisation(SHORT)?, &common_name]),
        NameForm::Signer => sequence(&[
            &country()?,
            &attribute("2.5.4.8", &utf8_string("CA")?)?,
            &attribute("2.5.4.7", &utf8_string("Santa Clara")?)?,
            &organisation(CORPORATION)?,
            &common_name,
        ]),
    }
}

/// The name of a device's certificate, which repeats its serial number.
pub(crate) fn device_name(common_name: &str, serial: &[u8]) -> Result<Der, Error> {
    sequence(&[
        &attribute("2.5.4.5", &printable_string(&hex::encode_upper(serial))?)?,
        &country()?,
        &attribute("2.5.4.10", &utf8_string(CORPORATION)?)?,
        &attribute("2.5.4.3", &utf8_string(&development_name(common_name))?)?,
    ])
}

fn country() -> Result<Der, Error> {
    attribute("2.5.4.6", &printable_string("US")?)
}
