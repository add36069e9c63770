//! One thing wrong at a time, under a signature that holds where one can be made: what is refused is the
//! thing, and not the signature that it broke.

use super::vendor::{DIGITAL_SIGNATURE, NOW, Vendor, usage, x509_data};
use super::*;
use crate::class::Simulated;
use crate::x509::oid;

/// What must come out: nothing wrong, or this code with these words.
type Wanted = Option<(Code, &'static str)>;
/// From one text to another.
type Edit<'a> = &'a dyn Fn(&str) -> String;

const GOOD: Wanted = None;
const PARSE: fn(&'static str) -> Wanted = |words| Some((Code::Parse, words));

fn judged(vendor: &Vendor, text: &str) -> Result<UnixTime, (Code, String)> {
    let remembered = Remembered::new(16);
    outcome(text.as_bytes(), Simulated::anchored(&vendor.anchors(), &remembered), time(NOW))
}

fn hold(vendor: &Vendor, name: &str, text: &str, wanted: Wanted) {
    match (judged(vendor, text), wanted) {
        (Ok(_), None) => {}
        (Err((code, detail)), Some((wanted, words))) if code == wanted && detail.contains(words) => {}
        (found, wanted) => panic!("{name}: wanted {wanted:?}, found {found:?}"),
    }
}

/// Replaces what must be there, the first time that it is there.
fn change(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in the document");
    text.replacen(from, to, 1)
}

/// The one element with `name`, whole.
fn element(text: &str, name: &str) -> String {
    let start = text.find(&format!("<{name}")).unwrap();
    let end = format!("</{}>", name.trim_end());
    let end = text[start..].find(&end).map(|at| at + end.len()).or_else(|| text[start..].find("/>").map(|at| at + 2));
    text[start..start + end.unwrap()].to_owned()
}

/// Edits before signing, as replacements; the signature is over the result.
#[test]
fn documents_that_say_something_else_are_refused_though_their_signature_holds() {
    let resource = "<ns0:Resource type=\"Measurement\" index=\"0\"";
    let hash = " ns2:Hash0=\"000000";
    let rows: &[(&str, &str, &str, Wanted)] = &[
        ("nothing", "name=\"GH100\"", "name=\"GH100\"", GOOD),
        ("another product", "product=\"GH100\"", "product=\"GB100\"", GOOD),
        ("a text with escapes", "Entity name=\"NVIDIA", "Entity name=\"&lt;&amp;&#x41;", GOOD),
        ("a prefix renamed", "xmlns:ns1=", "xmlns:tcg=", PARSE("well-formed")),
        ("an unused declaration left out", " xmlns:SHA384=\"http://www.w3.org/2001/04/xmlenc#sha384\"", "", GOOD),
        ("a declaration more", "<ns0:Payload ", "<ns0:Payload xmlns:x=\"urn:x\" ", GOOD),
        ("a repeated index", "index=\"1\"", "index=\"0\"", PARSE("index 0 twice")),
        ("an index beyond", "index=\"1\"", "index=\"64\"", PARSE("index")),
        ("an index in another form", "index=\"1\"", "index=\"01\"", PARSE("index")),
        ("an index with a sign", "index=\"1\"", "index=\"+1\"", PARSE("index")),
        ("active in lower case", "active=\"False\"", "active=\"false\"", PARSE("active")),
        ("active with white space", "active=\"False\"", "active=\"False \"", PARSE("active")),
        ("fewer hashes than alternatives", "alternatives=\"1\"", "alternatives=\"2\"", PARSE("hash is missing")),
        ("more hashes than alternatives", "alternatives=\"4\"", "alternatives=\"3\"", PARSE("more hashes")),
        ("no alternatives", "alternatives=\"1\"", "alternatives=\"0\"", PARSE("alternatives")),
        ("hashes from 1", "ns2:Hash0", "ns2:Hash1", PARSE("hash is missing")),
        ("a hash of no namespace", "ns2:Hash0", "Hash0", PARSE("hash is missing")),
        ("a hash of another namespace", "ns2:Hash0", "ns0:Hash0", PARSE("hash is missing")),
        ("a hash of one digit less", hash, " ns2:Hash0=\"00000", PARSE("hash is missing")),
        ("a hash with another letter", hash, " ns2:Hash0=\"00000g", PARSE("hash is missing")),
        ("another size", "size=\"48\"", "size=\"32\"", PARSE("size")),
        ("another type", "type=\"Measurement\"", "type=\"File\"", PARSE("no measurement")),
        ("no name", " name=\"Measurement_0\"", "", PARSE("without name")),
        ("an empty name", "name=\"Measurement_0\"", "name=\"\"", PARSE("empty")),
        ("an attribute more", resource, "<ns0:Resource x=\"1\" type=\"Measurement\" index=\"0\"", PARSE("not known")),
        ("an element in a resource", "size=\"48\"/>", "size=\"48\"><ns0:x/></ns0:Resource>", PARSE("Resource")),
        ("a text in the payload", "    <ns0:Resource", "x   <ns0:Resource", PARSE("text in Payload")),
        (
            "another element in the payload",
            resource,
            "<ns0:File/><ns0:Resource type=\"Measurement\" index=\"0\"",
            PARSE("other than"),
        ),
        ("a resource of another namespace", "<ns0:Resource", "<ns2:Resource", PARSE("other than resources")),
        ("an element more", "<ns0:Payload", "<ns0:Link/><ns0:Payload", PARSE("does not hold")),
        ("a second payload", "<ns0:Payload", "<ns0:Payload/><ns0:Payload", PARSE("does not hold")),
        ("another edition", "edition=\"GPU\"", "edition=\"CPU\"", PARSE("edition")),
        ("an indirect payload", "PayloadType=\"direct\"", "PayloadType=\"indirect\"", PARSE("direct")),
        ("a patch", "patch=\"false\"", "patch=\"true\"", PARSE("patch")),
        ("an attribute less", " revision=\"r1\"", "", PARSE("attributes of Meta")),
        (
            "an attribute of no namespace",
            "ns1:FirmwareManufacturerId",
            "FirmwareManufacturerId",
            PARSE("attributes of Meta"),
        ),
        ("a version that cannot be shown", "=\"550.90.07\"", "=\"550&#233;\"", PARSE("printable")),
        ("another root", "SoftwareIdentity xmlns=", "SoftwareIdentit xmlns=", PARSE("well-formed")),
        ("another namespace", "2015/schema.xsd\" xmlns:ns0", "2014/schema.xsd\" xmlns:ns0", PARSE("root")),
        ("a language", "<ns0:Entity", "<ns0:Entity xml:lang=\"en\"", PARSE("attributes of Entity")),
        ("an undone namespace", "<ns0:Entity", "<ns0:Entity xmlns=\"\"", PARSE("as nothing")),
        ("a comment", "<ns0:Entity", "<!-- --><ns0:Entity", PARSE("a comment")),
        ("an instruction", "<ns0:Entity", "<?x y?><ns0:Entity", PARSE("instruction")),
        ("a CDATA section", "<ns0:Entity", "<![CDATA[ ]]><ns0:Entity", PARSE("CDATA")),
        (
            "a document type",
            "<SoftwareIdentity",
            "<!DOCTYPE SoftwareIdentity [<!ENTITY x \"y\">]><SoftwareIdentity",
            PARSE("type"),
        ),
        ("an entity", "name=\"NVIDIA", "name=\"&x;", PARSE("well-formed")),
        (
            "exclusive canonical form",
            "CanonicalizationMethod Algorithm=\"http://www.w3.org/2006/12/xml-c14n11",
            "CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#",
            PARSE("c14n11"),
        ),
        (
            "canonical form 1.0",
            "CanonicalizationMethod Algorithm=\"http://www.w3.org/2006/12/xml-c14n11",
            "CanonicalizationMethod Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            PARSE("c14n11"),
        ),
        (
            "canonical form with comments",
            "xml-c14n11\"/></ds:Transforms>",
            "xml-c14n11#WithComments\"/></ds:Transforms>",
            PARSE("c14n11"),
        ),
        (
            "exclusive canonical form as transform",
            "http://www.w3.org/2006/12/xml-c14n11\"/></ds:Transforms>",
            "http://www.w3.org/2001/10/xml-exc-c14n#\"/></ds:Transforms>",
            PARSE("c14n11"),
        ),
        (
            "a transform more",
            "</ds:Transforms>",
            "<ds:Transform Algorithm=\"http://www.w3.org/2006/12/xml-c14n11\"/></ds:Transforms>",
            PARSE("Transforms does not hold"),
        ),
        (
            "a transform less",
            "<ds:Transform Algorithm=\"http://www.w3.org/2006/12/xml-c14n11\"/>",
            "",
            PARSE("Transforms does not hold"),
        ),
        (
            "a transform with an expression",
            "enveloped-signature\"/>",
            "enveloped-signature\"><ds:XPath>1</ds:XPath></ds:Transform>",
            PARSE("Transform does not hold nothing"),
        ),
        (
            "another digest",
            "xmldsig-more#sha384\"/><ds:DigestValue",
            "xmlenc#sha256\"/><ds:DigestValue",
            PARSE("sha384"),
        ),
        (
            "a keyed digest for a signature",
            "xmldsig-more#ecdsa-sha384",
            "xmldsig-more#hmac-sha384",
            PARSE("ecdsa-sha384"),
        ),
        ("another signature", "xmldsig-more#ecdsa-sha384", "xmldsig-more#ecdsa-sha256", PARSE("ecdsa-sha384")),
        (
            "parameters of the signature",
            "ecdsa-sha384\"/>",
            "ecdsa-sha384\"><ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>",
            PARSE("SignatureMethod does not hold nothing"),
        ),
        ("a part of the document", "URI=\"\"", "URI=\"#x\"", PARSE("whole document")),
        ("no URI", " URI=\"\"", "", PARSE("attributes of Reference")),
        ("a type of reference", "URI=\"\"", "URI=\"\" Type=\"x\"", PARSE("attributes of Reference")),
        (
            "an identifier on the signature",
            "<ds:Signature ",
            "<ds:Signature Id=\"x\" ",
            PARSE("attributes of Signature"),
        ),
        (
            "an identifier on SignedInfo",
            "<ds:SignedInfo>",
            "<ds:SignedInfo Id=\"x\">",
            PARSE("attributes of SignedInfo"),
        ),
        ("white space in SignedInfo", "<ds:SignedInfo>", "<ds:SignedInfo>\n  ", GOOD),
        ("a text in SignedInfo", "<ds:SignedInfo>", "<ds:SignedInfo>x", PARSE("text in SignedInfo")),
        ("an object", "</ds:Signature>", "<ds:Object/></ds:Signature>", PARSE("Signature does not hold")),
        (
            "a key beside the certificates",
            "<ds:X509Data>",
            "<ds:KeyName>x</ds:KeyName><ds:X509Data>",
            PARSE("KeyInfo does not hold"),
        ),
        (
            "a list beside the certificates",
            "</ds:X509Data>",
            "<ds:X509CRL>AAAA</ds:X509CRL></ds:X509Data>",
            PARSE("other than certificates"),
        ),
        ("a second X509Data", "</ds:KeyInfo>", "<ds:X509Data/></ds:KeyInfo>", PARSE("KeyInfo does not hold")),
        ("a text behind the signature", "</ds:Signature>", "</ds:Signature>x", PARSE("text in SoftwareIdentity")),
        ("white space behind the signature", "</ds:Signature>", "</ds:Signature> ", GOOD),
        (
            "an element behind the signature",
            "</ds:Signature>",
            "</ds:Signature><ns0:Link/>",
            PARSE("SoftwareIdentity does not hold"),
        ),
    ];
    let vendor = Vendor::new();
    for (name, from, to, wanted) in rows {
        hold(&vendor, name, &vendor.signed(|text| change(&text, from, to)), *wanted);
    }
}

/// Edits that move whole elements about before signing.
#[test]
fn elements_in_other_places_are_refused() {
    let vendor = Vendor::new();
    let rows: [(&str, Edit<'_>, &str); 6] = [
        (
            "a second signature",
            &|text| {
                let signature = element(text, "ds:Signature ");
                change(text, "</SoftwareIdentity>", &format!("{signature}</SoftwareIdentity>"))
            },
            "SoftwareIdentity does not hold",
        ),
        (
            "a signature that is not last",
            &|text| {
                let signature = element(text, "ds:Signature ");
                change(&change(text, &signature, ""), "<ns0:Entity", &format!("{signature}<ns0:Entity"))
            },
            "SoftwareIdentity does not hold",
        ),
        (
            "a signature inside the payload",
            &|text| {
                let signature = element(text, "ds:Signature ");
                change(&change(text, &signature, ""), "</ns0:Payload>", &format!("{signature}</ns0:Payload>"))
            },
            "SoftwareIdentity does not hold",
        ),
        (
            "two references",
            &|text| {
                let reference = element(text, "ds:Reference ");
                change(text, &reference, &format!("{reference}{reference}"))
            },
            "SignedInfo does not hold",
        ),
        (
            "transforms in the other order",
            &|text| {
                let transforms = element(text, "ds:Transforms");
                let [one, two] = ["2000/09/xmldsig#enveloped-signature", "2006/12/xml-c14n11"]
                    .map(|name| format!("<ds:Transform Algorithm=\"http://www.w3.org/{name}\"/>"));
                change(text, &transforms, &format!("<ds:Transforms>{two}{one}</ds:Transforms>"))
            },
            "enveloped-signature",
        ),
        (
            "an empty payload",
            &|text| {
                let payload = element(text, "ns0:Payload");
                change(text, &payload, "<ns0:Payload></ns0:Payload>")
            },
            "an empty payload",
        ),
    ];
    for (name, edit, words) in rows {
        hold(&vendor, name, &vendor.signed(|text| edit(&text)), PARSE(words));
    }
}

/// The same content, written otherwise after signing: the canonical form is the same, and so is all that
/// is read.
#[test]
fn another_way_to_write_the_same_is_the_same() {
    let vendor = Vendor::new();
    let signed = vendor.signed(|text| text);
    let before = Manifest::parse(signed.as_bytes()).unwrap();
    let rows: &[(&str, Edit<'_>)] = &[
        ("attributes in another order", &|text| {
            change(text, "type=\"Measurement\" index=\"0\"", "index=\"0\" type=\"Measurement\"")
        }),
        ("white space between attributes", &|text| change(text, " index=\"0\"", "\r\n\t index = \"0\"")),
        ("white space before the end of a tag", &|text| change(text, "</ns0:Payload>", "</ns0:Payload\n>")),
        ("other quotes", &|text| change(text, "index=\"0\"", "index='0'")),
        ("a start and an end", &|text| change(text, "size=\"48\"/>", "size=\"48\"></ns0:Resource>")),
        ("a character by its number", &|text| change(text, "index=\"0\"", "index=\"&#48;\"")),
        ("line ends of another system", &|text| text.replace('\n', "\r\n")),
        ("a declaration and a byte order mark", &|text| {
            format!("\u{FEFF}<?xml version='1.0' encoding='UTF-8'?>\n{text}\n")
        }),
        ("a declaration that says nothing new", &|text| {
            change(text, "<ns0:Entity", "<ns0:Entity xmlns:ns2=\"http://www.w3.org/2001/04/xmlenc#sha384\"")
        }),
        ("white space in a certificate", &|text| change(text, "<ds:X509Certificate>", "<ds:X509Certificate>\n ")),
        ("white space in the value", &|text| change(text, "<ds:SignatureValue>", "<ds:SignatureValue>\t")),
        ("white space between certificates", &|text| change(text, "<ds:X509Data>", "<ds:X509Data>\n")),
    ];
    for (name, rewritten) in rows {
        let text = rewritten(&signed);
        assert_ne!(text, signed, "{name}");
        hold(&vendor, name, &text, GOOD);
        let after = Manifest::parse(text.as_bytes()).unwrap();
        assert_ne!(after.sha256(), before.sha256(), "{name}: a policy pins bytes");
        assert_eq!((after.golden(), &after.tag), (before.golden(), &before.tag), "{name}");
        assert_eq!(after.certificates(), before.certificates(), "{name}");
    }
    // These are other documents, and were not signed.
    let others: &[(&str, &str, &str)] = &[
        ("a prefix renamed", "ns0:Entity", "ns9:Entity"),
        ("an unused declaration left out", " xmlns:SHA384=\"http://www.w3.org/2001/04/xmlenc#sha384\"", ""),
        ("white space between elements", "</ns0:Payload>", "</ns0:Payload> "),
        ("capitals in a hash", "80161aac", "80161AAC"),
    ];
    for (name, from, to) in others {
        let declared = "xmlns:ns0=\"http://standards.iso.org/iso/19770/-2/2015/schema.xsd\"";
        let text = match *from {
            "ns0:Entity" => change(&signed, declared, &format!("{declared} {}", declared.replace("ns0", "ns9"))),
            _ => signed.clone(),
        };
        hold(&vendor, name, &change(&text, from, to), Some((Code::Signature, "manifest digest")));
    }
}

#[test]
fn no_certificate_is_left_unchecked() {
    let vendor = Vendor::new();
    let signed = vendor.signed(|text| text);
    let with = |certificates: &[Vec<u8>]| change(&signed, &x509_data(&vendor.certificates), &x509_data(certificates));
    let [leaf, l3, authority, root] = vendor.certificates.as_slice() else { panic!("four") };
    let (leaf, l3, authority, root) = (leaf.clone(), l3.clone(), authority.clone(), root.clone());
    let other = Vendor::new();
    let another = || other.certificates.clone().into_iter();
    let chain = |words| Some((Code::Chain, words));
    let of_another_key = Some((Code::Signature, "manifest signature"));
    let rows: Vec<(&str, Vec<Vec<u8>>, Wanted)> = vec![
        ("as signed", vendor.certificates.clone(), GOOD),
        (
            "authorities in another order",
            vec![leaf.clone(), authority.clone(), l3.clone(), root.clone()],
            chain("another order"),
        ),
        ("the root first", vec![root.clone(), leaf.clone(), l3.clone(), authority.clone()], of_another_key),
        ("one more", [vendor.certificates.clone(), vec![root.clone()]].concat(), chain("5 certificates")),
        (
            "a foreign one more",
            [vendor.certificates.clone(), another().take(1).collect()].concat(),
            chain("5 certificates"),
        ),
        ("one less", vendor.certificates[..3].to_vec(), chain("3 certificates")),
        ("one twice", vec![leaf.clone(), l3.clone(), authority.clone(), authority.clone()], chain("others")),
        (
            "a foreign root",
            vec![leaf.clone(), l3.clone(), authority.clone(), another().nth(3).unwrap()],
            chain("others"),
        ),
        (
            "a foreign L3",
            vec![leaf.clone(), another().nth(1).unwrap(), authority.clone(), root.clone()],
            chain("no issuer leads"),
        ),
        (
            "a foreign signer",
            vec![another().next().unwrap(), l3.clone(), authority.clone(), root.clone()],
            of_another_key,
        ),
        ("another vendor", other.certificates.clone(), of_another_key),
    ];
    for (name, certificates, wanted) in rows {
        hold(&vendor, name, &with(&certificates), wanted);
    }
    hold(&vendor, "signed by another vendor", &other.signed(|text| text), chain("no issuer leads"));
    // The signer of another vendor signs, and stands below this one's authorities.
    let mixed = other.signed(|text| {
        let others = x509_data(&other.certificates);
        let mixed = [&other.certificates[..1], &vendor.certificates[1..]].concat();
        change(&text, &others, &x509_data(&mixed))
    });
    hold(&vendor, "a foreign signer with its own signature", &mixed, chain("no issuer leads"));
    let none = change(&signed, &x509_data(&vendor.certificates), "");
    hold(&vendor, "none", &none, PARSE("certificates"));
}

#[test]
fn a_key_for_something_else_signs_no_manifest() {
    let chain = Some((Code::Chain, "something else"));
    let good = usage(DIGITAL_SIGNATURE);
    let purpose: &[u8] = &[0x30, 0x0A, 0x06, 0x08, 0x2B, 6, 1, 5, 5, 7, 3, 9];
    let responder = [good[0], good[1], (oid::EXTENDED_KEY_USAGE, false, purpose)];
    let authority = [(oid::BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xFF][..]), good[1]];
    let rows: [(&str, &[_], Wanted); 5] = [
        ("a signer", &good, GOOD),
        ("a status responder", &responder, chain),
        ("no digital signature", &usage(&[0x03, 0x02, 0x03, 0x08]), chain),
        ("no key usage", &good[..1], chain),
        ("an authority", &authority, Some((Code::Chain, "is a CA"))),
    ];
    for (name, extensions, wanted) in rows {
        let vendor = Vendor::new().with_signer(extensions);
        hold(&vendor, name, &vendor.signed(|text| text), wanted);
    }
}

#[test]
fn a_development_vendor_makes_nothing_genuine() {
    let vendor = Vendor::new();
    let signed = vendor.signed(|text| text);
    assert_eq!(genuine(signed.as_bytes(), NOW).unwrap_err().0, Code::Simulated);
    let (code, detail) = judged(&vendor, &driver()).unwrap_err();
    assert_eq!(code, Code::Chain, "{detail}");
}
