//! Names of the certificates of virtual TPMs.

use x509_cert::der::Error;

use crate::{
    certificate::{attribute, development_name},
    der::{Der, printable_string, sequence},
};

/// The root's attributes in the genuine order, with an organisation that is not Microsoft.
pub(crate) fn root_name() -> Result<Der, Error> {
    sequence(&[
        &attribute("2.5.4.6", &printable_string("US")?)?,
        &attribute("2.5.4.10", &printable_string("Simulated Cloud Corporation")?)?,
        &common_name("Azure Virtual TPM Root Certificate Authority 2023")?,
    ])
}

/// A name that is nothing but a common name, as those of the intermediate and the leaf are.
pub(crate) fn plain_name(name: &str) -> Result<Der, Error> {
    sequence(&[&common_name(name)?])
}

fn common_name(name: &str) -> Result<Der, Error> {
    attribute("2.5.4.3", &printable_string(&development_name(name))?)
}
