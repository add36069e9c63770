//! Names of AMD's certificates.

use x509_cert::der::Error;

use crate::{
    certificate::{attribute, development_name},
    der::{Der, printable_string, sequence, utf8_string},
};

/// AMD's attributes in AMD's order, with an organisation that is not AMD and a common name
/// that says so too.
pub(crate) fn name(common_name: &str) -> Result<Der, Error> {
    sequence(&[
        &attribute("2.5.4.11", &utf8_string("Engineering")?)?,
        &attribute("2.5.4.6", &printable_string("US")?)?,
        &attribute("2.5.4.7", &utf8_string("Santa Clara")?)?,
        &attribute("2.5.4.8", &utf8_string("CA")?)?,
        &attribute("2.5.4.10", &utf8_string("Simulated Micro Devices")?)?,
        &attribute("2.5.4.3", &utf8_string(&development_name(common_name))?)?,
    ])
}
