//! One OCSP response (RFC 6960).
