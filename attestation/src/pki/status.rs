//! Revocation by OCSP responses, with revocation lists as the alternative.
