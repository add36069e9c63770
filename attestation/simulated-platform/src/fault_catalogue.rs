//! How a catalogue of faults is written: one list of rows gives the enum, the list of all,
//! and what is said of each.

/// Who can make a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    /// Whoever has the device.
    Device,
    /// Only who can sign certificates, lists or collateral.
    Vendor,
}

/// A row is: variant, name, expected code, maker, description.
macro_rules! catalogue {
    (
        $(#[$meta:meta])*
        $catalogue:ident {
            $($variant:ident, $name:literal, $code:literal, $maker:ident, $description:literal;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $catalogue {
            $(#[doc = $description] $variant,)+
        }

        impl $catalogue {
            /// The whole catalogue, in the order of a verifier's checks.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name, in kebab case.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.row().0
            }

            /// The code with which a verifier must refuse it.
            #[must_use]
            pub fn expected_code(self) -> &'static str {
                self.row().1
            }

            /// What is wrong, in one sentence.
            #[must_use]
            pub fn description(self) -> &'static str {
                self.row().3
            }

            /// Whether it is in something that a vendor signs, so that making it takes the
            /// vendor's keys.
            #[must_use]
            pub fn needs_vendor(self) -> bool {
                self.row().2 == $crate::fault_catalogue::Maker::Vendor
            }

            /// The fault of that [`name`](Self::name).
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|fault| fault.name() == name)
            }

            /// Name, code, maker, description.
            fn row(self) -> (&'static str, &'static str, $crate::fault_catalogue::Maker, &'static str) {
                match self {
                    $(Self::$variant => ($name, $code, $crate::fault_catalogue::Maker::$maker, $description),)+
                }
            }
        }

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn rows_keep_the_rules_of_catalogues() {
                let rows = $catalogue::ALL.iter().map(|fault| (fault.name(), fault.description()));
                $crate::fault_catalogue::check_rows(rows);
                for fault in $catalogue::ALL {
                    assert_eq!($catalogue::from_name(fault.name()), Some(*fault));
                }
                assert_eq!($catalogue::from_name("no-such-fault"), None);
            }
        }
    };
}

pub(crate) use catalogue;

/// Names are unique and in kebab case, descriptions are sentences.
#[cfg(test)]
pub(crate) fn check_rows(rows: impl Iterator<Item = (&'static str, &'static str)>) {
    let mut seen = std::collections::HashSet::new();
    for (name, description) in rows {
        assert!(seen.insert(name), "{name} twice");
        let kebab = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        assert!(name.split('-').all(kebab), "{name}");
        assert!(description.ends_with('.') && !description.contains('\n'), "{name}");
    }
    assert!(seen.len() >= 20);
}
