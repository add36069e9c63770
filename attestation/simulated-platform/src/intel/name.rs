//! Names of Intel's certificates.

use x509_cert::der::Error;

use crate::{
    certificate::{attribute, development_name},
    der::{Der, printable_string, sequence, utf8_string},
};

/// Intel's attributes in Intel's order, with an organisation that is not Intel and a common
/// name that says so too.
pub(crate) fn name(common_name: &str) -> Result<Der, Error> {
    sequence(&[
        &attribute("2.5.4.3", &utf8_string(&development_name(common_name))?)?,
        &attribute("2.5.4.10", &utf8_string("Simulated Chip Corporation")?)?,
        &attribute("2.5.4.7", &utf8_string("Santa Clara")?)?,
        &attribute("2.5.4.8", &utf8_string("CA")?)?,
        &attribute("2.5.4.6", &printable_string("US")?)?,
    ])
}
